"""Commands that other distributions declare as entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import click
import pytest
from click.testing import CliRunner

from guanwu.cli import extensions, main
from guanwu.cli.extensions import GROUP

SERVERS = ("admin", "doctor", "worker")


@click.command()
@click.argument("name")
def hello(name: str) -> None:
    """Greet."""
    click.echo(f"hello {name}")


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points that are installed: none until a test adds one."""
    declared: list[EntryPoint] = []
    monkeypatch.setattr(
        extensions, "entry_points", lambda **wanted: EntryPoints(declared).select(**wanted)
    )
    return declared


@pytest.mark.parametrize("words", [*([name] for name in SERVERS), ["models", "fetch"]])
def test_without_the_server_its_commands_say_in_one_line_how_to_get_it(
    words: list[str], declare: list[EntryPoint], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*words, "--flag", "x"]) == 2
    told = capfd.readouterr().err.splitlines()
    assert told == ["guanwu: this command comes with the server: pip install guanwu-server"]


def test_a_declared_command_is_listed_and_runs(declare: list[EntryPoint]) -> None:
    declare.append(EntryPoint("hello", f"{__name__}:hello", GROUP))
    declare.append(EntryPoint("models.hello", f"{__name__}:hello", GROUP))
    assert "Greet." in CliRunner().invoke(main.cli, ["--help"]).stdout
    assert CliRunner().invoke(main.cli, ["hello", "猫"]).stdout == "hello 猫\n"
    assert CliRunner().invoke(main.cli, ["models", "hello", "狗"]).stdout == "hello 狗\n"


@pytest.mark.parametrize("value", ["no.such.module:command", f"{__name__}:SERVERS"])
def test_one_that_cannot_be_loaded_is_named_and_disturbs_no_other(
    value: str, declare: list[EntryPoint], capfd: pytest.CaptureFixture[str]
) -> None:
    declare.append(EntryPoint("broken", value, GROUP))
    assert "watch" in CliRunner().invoke(main.cli, ["--help"]).stdout
    assert main.run(["broken"]) == 2
    assert f"guanwu: {value} (the command 'broken')" in capfd.readouterr().err


def test_no_other_command_is_made_up(declare: list[EntryPoint]) -> None:
    assert main.run(["fly"]) == 2
