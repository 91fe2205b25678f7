"""One installation for a whole test module: it takes these FIXTURES in place of those that make one for each test.

For tests that keep to a project of their own, and harm nothing that others use. Making the application takes most of a
short test's time.
"""

from collections.abc import Iterator

import pytest
from litestar import Litestar

from api.app import create_app
from api.settings import Settings
from tests.integration.api.serving import served


@pytest.fixture(scope="module")
def database_url(module_database_url: str) -> str:
    return module_database_url


@pytest.fixture(scope="module")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), database_url=database_url, prefect_port=9)


@pytest.fixture(scope="module")
def app(settings: Settings) -> Litestar:
    return create_app(settings)


@pytest.fixture(scope="module")
def base_url(app: Litestar) -> Iterator[str]:
    with served(app) as url:
        yield url


FIXTURES = (database_url, settings, app, base_url)
