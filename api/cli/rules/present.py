"""A project's channels, rules and deployments as the server has them, in the words of a rules file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.cli.remote import Remote
from api.cli.rules.spec import CHANNEL, RULE
from notifications.channels import public_config

View = Mapping[str, Any]
IN_PRODUCTION = "(whichever is in production)"


@dataclass(frozen=True)
class Present:
    """The server's views by name; deployments in a list, since their names may repeat."""

    channels: Mapping[str, View]
    rules: Mapping[str, View]
    deployments: tuple[View, ...]

    def channel_ids(self) -> dict[str, str]:
        """Return the channels' ids by name."""
        return {name: view["id"] for name, view in self.channels.items()}

    def channel_values(self, name: str) -> dict[str, Any]:
        """Return a channel's values by the file's keys, its secrets masked."""
        return {key: self.channels[name][key] for key in CHANNEL}

    def rule_values(self, name: str) -> dict[str, Any]:
        """Return a rule's values by the file's keys, channels by name and the deployment by id."""
        view = self.rules[name]
        names = {channel["id"]: channel_name for channel_name, channel in self.channels.items()}
        own = {key: view[key] for key in RULE if key in view}
        channels = [names.get(each, each) for each in view["channels"]]
        return {**own, "channels": channels, "deployment": view["deployment_id"]}

    def deployments_named(self, text: str) -> list[View]:
        """Return the deployments that a name or an id means; of one name the active ones, if any is active."""
        by_id = [each for each in self.deployments if each["id"] == text]
        named = [each for each in self.deployments if each["name"] == text]
        return by_id or [each for each in named if each["is_active"]] or named

    def deployment_name(self, deployment_id: str | None) -> str:
        """Return how a file would name a deployment: by name where that means this one, else by id."""
        if deployment_id is None:
            return IN_PRODUCTION
        names = [each["name"] for each in self.deployments if each["id"] == deployment_id]
        return names[0] if names and len(self.deployments_named(names[0])) == 1 else deployment_id


def read_present(remote: Remote, project_id: str) -> Present:
    """Ask the server for all that a rules file of this project can be about."""
    folder = f"/api/mlops/projects/{project_id}"
    return Present(
        channels={each["name"]: each for each in remote.items(f"{folder}/channels")},
        rules={each["name"]: each for each in remote.items(f"{folder}/alert-rules")},
        deployments=tuple(remote.items(f"{folder}/deployments")),
    )


def shown_config(channel_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a channel's config as the server would show it; one that came from there stays as it is."""
    if channel_type == "slack" and str(config["webhook_url"]).endswith("/…"):
        return dict(config)
    return public_config(channel_type, config)
