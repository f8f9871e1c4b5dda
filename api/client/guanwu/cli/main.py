"""The `guanwu` command.

Exit codes: 0 all images succeeded (or the job still runs); 1 some images failed;
2 the command line or a local file is wrong; 3 the server refused the request;
4 no server, or not now; 5 the job failed or was cancelled; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import get_completion_class

from guanwu.cli import feedback, jobs, label_sets, top, webhooks
from guanwu.cli.extensions import ExtensibleGroup
from guanwu.cli.options import NoServer
from guanwu.errors import ClientError, ProblemError, RequestRefused, UnexpectedAnswer, WaitTimeout

USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 2, 3, 4, 130
SHELLS = ("bash", "zsh", "fish")


@click.group(
    cls=ExtensibleGroup,
    epilog=__doc__.partition("\n\n")[2].replace("\n", " ") if __doc__ else None,
)
@click.version_option(package_name="guanwu", prog_name="guanwu")
def cli() -> None:
    """Guanwu 观物: what is in a picture (in Chinese), and where the model looked."""


for _command in (
    *(jobs.submit, jobs.watch, jobs.status, jobs.results, jobs.report, jobs.retry, jobs.cancel),
    *(jobs.models, jobs.usage, top.top),
    *(feedback.feedback, label_sets.labelsets, webhooks.webhooks),
):
    cli.add_command(_command)


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes this command in SHELL.

    \b
    bash: echo 'eval "$(guanwu completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(guanwu completion zsh)"' >> ~/.zshrc
    fish: guanwu completion fish > ~/.config/fish/completions/guanwu.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "guanwu", "_GUANWU_COMPLETE").source())


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code."""
    try:
        code = cli.main(list(arguments), prog_name="guanwu", standalone_mode=False)
    except click.UsageError as exc:
        exc.show()
        return USAGE
    except click.ClickException as exc:
        return _complain(exc.format_message(), USAGE)
    except (NoServer, OSError) as exc:
        return _complain(str(exc), USAGE)
    except RequestRefused as exc:
        return _complain(_problem_text(exc), REFUSED)
    except ProblemError as exc:
        return _complain(_problem_text(exc), UNREACHABLE)
    except UnexpectedAnswer as exc:
        return _complain(str(exc), REFUSED)
    except (ClientError, WaitTimeout) as exc:
        return _complain(str(exc), UNREACHABLE)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _problem_text(error: ProblemError) -> str:
    lines = [f"{error.problem.detail} [{error.code}]"]
    lines += [
        f"  {where.get('field')}: {where.get('message')}"
        for where in error.problem.errors
        if where.get("message") != error.problem.detail
    ]
    if error.status >= 500 and error.problem.request_id:
        lines.append(f"  request {error.problem.request_id}")
    return "\n".join(lines)


def _complain(message: str, code: int) -> int:
    click.echo(f"guanwu: {message}", err=True)
    return code


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
