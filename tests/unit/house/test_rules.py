"""The house rules, run as tests: format, lint, types, imports, and who may commit."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

from api.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("api", "flows", "monitoring", "notifications")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["importlinter.cli"],
    ],
    ids=["format", "lint", "types", "imports"],
)
def test_tool_finds_nothing(command: list[str]) -> None:
    """Each checker passes over the whole tree."""
    call = (
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
        if command[0] == "importlinter.cli"
        else [sys.executable, "-m", *command]
    )
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_only_the_database_module_commits() -> None:
    """`commit(` stands in monitoring/store/database.py or nowhere."""
    offenders = [
        str(path.relative_to(ROOT))
        for path in _sources()
        if path != ROOT / "monitoring/store/database.py" and re.search(r"\.commit\(", path.read_text())
    ]
    assert offenders == []


def test_files_stay_readable() -> None:
    """No source file passes 300 lines."""
    long = {
        str(path.relative_to(ROOT)): count
        for path in _sources()
        if (count := len(path.read_text().splitlines())) > MAX_FILE_LINES
    }
    assert long == {}


def test_top_level_is_the_owners() -> None:
    """Beside the owner's eight entries stands only what tools demand."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/", 1)[0] for line in listed.splitlines()}
    owners = {*PACKAGES, "tests", "pyproject.toml", "prefect.yaml", "README.md"}
    tools = {".ci", ".gitignore", "LICENSE", "Dockerfile", "compose.yaml", ".python-version", "CHANGELOG.md"}
    assert top <= owners | tools, top - owners - tools


def test_every_installed_package_is_pinned() -> None:
    """The constraints in pyproject.toml name each distribution of this environment, in the version that runs here."""
    constraints = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    pinned = dict(re.fullmatch(r"([^=]+)==(\S+)", item).groups() for item in constraints)  # type: ignore[union-attr]
    installed = {re.sub(r"[-_.]+", "-", dist.name).lower(): dist.version for dist in distributions()}
    ours = {"pilothouse", "pip", "setuptools", "wheel", "uv"}
    assert {
        name: version for name, version in installed.items() if name not in ours and pinned.get(name) != version
    } == {}


def test_ci_calls_the_readmes_test_line() -> None:
    """CI runs exactly what the README tells a newcomer to run."""
    script = (ROOT / ".ci/run").read_text().splitlines()[-1]
    assert script in (ROOT / "README.md").read_text().splitlines()


def test_the_readme_lists_every_setting_with_its_default() -> None:
    """A row of the settings table for each field, and no row for what is none."""
    rows = dict(re.findall(r"^\| `(PILOTHOUSE_\w+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    fields = {f"PILOTHOUSE_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert rows.keys() == fields.keys()
    plain = {name: field.default for name, field in fields.items() if isinstance(field.default, int | float | str)}
    assert {name: rows[name] for name in plain} == {name: f"`{default}`" for name, default in plain.items()}
