"""The `pilothouse` command. Each subcommand is imported when it is used: the API's imports alone take seconds."""

from importlib import import_module

import click

_COMMANDS = {
    "up": ("api.cli.up:up_command", "Start everything and keep it running until Ctrl-C."),
    "status": ("api.cli.status:status_command", "Show each part's state."),
    "demo": ("api.cli.demo.command:demo_command", "Train, deploy, predict and watch drift on real data."),
    "rules": ("api.cli.rules.command:rules_group", "Apply, list and export alert rules and channels as a file."),
    "channels": ("api.cli.channels:channels_group", "List and test the channels that notices go to."),
    "privacy": ("api.cli.privacy.command:privacy_group", "Find personal data in files; rotate a project's key."),
    "key": ("api.cli.keys:key_group", "Manage API keys on this machine."),
    "backup": ("api.cli.backup.command:backup_command", "Write everything into one file while it runs."),
    "restore": ("api.cli.backup.restoring:restore_command", "Restore a backup into an empty home or database."),
    "api": ("api.cli.serve:api_command", "Serve the API alone."),
    "migrate": ("api.cli.migration:migrate_command", "Bring the database to this version's schema."),
    "ledger": ("api.cli.ledger:ledger_command", "Prove that every log row is accounted for."),
    "version": ("api.cli.version:version_command", "Print the version."),
}


class LateGroup(click.Group):
    """A group that knows its commands by name and one line of help, and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None when there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Deploy H2O models behind an endpoint and watch over them.

    \b
    Start here: pilothouse up --demo
    Settings are environment variables (PILOTHOUSE_HOME, PILOTHOUSE_PORT, ...): see `pilothouse up --help`.
    """


if __name__ == "__main__":
    main()
