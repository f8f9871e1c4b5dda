"""Commands of other distributions: entry points of the group `guanwu.commands`.

An entry point names a click command, `doctor` one of `guanwu`, `models.fetch` one of
`guanwu models`. It is loaded when it is called or listed.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

GROUP = "guanwu.commands"
SERVER = "guanwu-server"
SERVER_COMMANDS = frozenset(
    {"admin", "doctor", "worker", *(f"models.{n}" for n in ("calibrate", "check", "fetch", "list"))}
)


class ExtensibleGroup(click.Group):
    """A group that takes commands of other distributions, too.

    Those of the server are known by name, so that without it they say how to get it.
    """

    prefix = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = {*SERVER_COMMANDS, *entry_points(group=GROUP).names}
        own = {name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)}
        return sorted({*self.commands, *(name for name in own if "." not in name)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        name = f"{self.prefix}{cmd_name}"
        for entry in entry_points(group=GROUP, name=name):
            return _load(entry, cmd_name)
        if name not in SERVER_COMMANDS:
            return None
        return _failing(cmd_name, f"this command comes with the server: pip install {SERVER}")


class ModelsGroup(ExtensibleGroup):
    """Commands of `guanwu models`."""

    prefix = "models."


def _load(entry: EntryPoint, name: str) -> click.Command:
    """The entry point's command, or one that says why it cannot be loaded."""
    try:
        command = entry.load()
    except Exception as exc:  # of code that is not ours; the other commands go on
        return _failing(name, f"{_origin(entry)} cannot be loaded: {exc!r}")
    if not isinstance(command, click.Command):
        return _failing(name, f"{_origin(entry)} is no click command")
    return command


def _origin(entry: EntryPoint) -> str:
    source = "" if entry.dist is None else f" of {entry.dist.name}"
    return f"{entry.value}{source} (the command {entry.name!r})"


def _failing(name: str, message: str) -> click.Command:
    """A command that fails with a message, whatever its arguments."""

    @click.command(
        name,
        help=f"Not there: {message}.",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
        add_help_option=False,
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(message)

    return command
