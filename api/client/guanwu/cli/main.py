"""The `guanwu` command.

Exit codes: 0 all images succeeded (or the job still runs); 1 some images failed;
2 the command line or a local file is wrong; 3 the server refused the request;
4 no server, or not now; 5 the job failed or was cancelled; 130 interrupted.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_args

import click
from click.shell_completion import get_completion_class
from pydantic import ValidationError

from guanwu.cli import feedback as judging
from guanwu.cli import jobs, label_sets
from guanwu.cli import top as watching
from guanwu.cli import webhooks as hooks
from guanwu.cli.server import NoServer, find_server
from guanwu.cli.worker_commands import ExtraMissing, to_worker
from guanwu.core.models import OVERLAP_S
from guanwu.core.requests import ExportFormat, ReportLanguage
from guanwu.errors import ClientError, ProblemError, RequestRefused, UnexpectedAnswer, WaitTimeout
from guanwu.sync.client import Client
from guanwu.wire.base import Colormap, Priority, Verdict
from guanwu.wire.feedback import Kind
from guanwu.wire.media import OverlayFormat
from guanwu.wire.options import Options
from guanwu.wire.requests import JOB_EVENTS, JobEvent

P = ParamSpec("P")
R = TypeVar("R")

USAGE, REFUSED, UNREACHABLE, INTERRUPTED = 2, 3, 4, 130
DEFAULT_OUT = Path("out")
SORTS = ("index", "score", "margin", "entropy", "faithfulness", "disagreement")
SHELLS = ("bash", "zsh", "fish")
ENDS = ("succeeded", "failed", "cancelled", "expired")

_server_options = (
    click.option("--url", help="of the server; default: GUANWU_URL, or that of `make up`"),
    click.option("--token", help="access token; default: GUANWU_TOKEN, or that of `make up`"),
)
_json_option = click.option("--json", "as_json", is_flag=True, help="JSON for pipes, no table")
_out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="folder for the results"
)
_since_option = click.option(
    "--since",
    type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")),
    help="made then or later, in this machine's time unless it ends in Z or +08:00",
)
_pass_on = {"ignore_unknown_options": True, "help_option_names": []}


def _with_server(command: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(_server_options):
        command = option(command)
    return command


def _connect(url: str | None, token: str | None) -> Client:
    server = find_server(url, token, environ=os.environ, directory=Path.cwd())
    return Client(server.url, server.token)


@click.group(epilog=__doc__.partition("\n\n")[2].replace("\n", " ") if __doc__ else None)
@click.version_option(package_name="guanwu", prog_name="guanwu")
def cli() -> None:
    """Guanwu 观物: what is in a picture (in Chinese), and where the model looked."""


@cli.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH...",
)
@_out_option
@click.option("--recursive", "-r", is_flag=True, help="look into folders of folders, too")
@click.option("--model", "models", multiple=True, help="model id; may be repeated")
@click.option("--label-set", help="default: the model's own")
@click.option("--top-k", type=click.IntRange(1, 100), help="labels of a picture; default: 5")
@click.option("--colormap", type=click.Choice(get_args(Colormap)), help="default: jet")
@click.option("--alpha", type=click.FloatRange(0, 1), help="weight of the heatmap; default: 0.5")
@click.option("--overlay-format", type=click.Choice(get_args(OverlayFormat)), help="default: png")
@click.option("--priority", type=click.Choice(get_args(Priority)), help="default: normal")
@_json_option
@_with_server
def submit(
    paths: Sequence[Path],
    out: Path | None,
    recursive: bool,
    as_json: bool,
    url: str | None,
    token: str | None,
    **options: Any,
) -> int:
    """Submit files and folders, wait, print a table and save the results.

    Results are saved in the folder `out` unless --out names another; with --json only
    if --out does. Folders of any size are uploaded bit by bit; interrupted, the same
    command goes on. Of more than 1,000 pictures only results.jsonl is saved.
    """
    asked = _options(options)
    folder = out or (None if as_json else DEFAULT_OUT)
    with _connect(url, token) as client:
        return jobs.submit(
            client, paths, options=asked, recursive=recursive, folder=folder, as_json=as_json
        )


def _options(given: dict[str, Any]) -> Options:
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    artifacts = ["labels", "overlay", "figure", "thumbnail"]
    try:
        return Options.model_validate({"artifacts": artifacts, **chosen})
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"])).replace("_", "-")
        raise click.UsageError(f"--{field}: {first['msg']}") from exc


@cli.command()
@click.argument("job")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="seconds; then exit 4"
)
@_json_option
@_with_server
def watch(
    job: str, timeout_s: float | None, as_json: bool, url: str | None, token: str | None
) -> int:
    """Follow a job to its end.

    Shows a bar; with --json a line for each state of the job, as it comes. The exit code is
    that of the job.
    """
    with _connect(url, token) as client:
        return jobs.watch(client, job, timeout_s=timeout_s, as_json=as_json)


@cli.command()
@click.argument("job")
@_json_option
@_with_server
def status(job: str, as_json: bool, url: str | None, token: str | None) -> int:
    """Show how a job is."""
    with _connect(url, token) as client:
        return jobs.status(client, job, as_json=as_json)


@cli.command()
@click.argument("job")
@click.option("--order", "--sort", "sort", type=click.Choice(SORTS), help="what needs a look first")
@click.option("--status", type=click.Choice(ENDS), help="items that ended so")
@click.option("--label", help="first label: in Chinese, in English or by its id")
@click.option("--score-below", type=click.FloatRange(0, 1), help="of the first label")
@click.option("--verdict", type=click.Choice(get_args(Verdict)), help="on the first label's map")
@click.option("--limit", type=click.IntRange(1), help="the first N; default: all")
@_out_option
@_json_option
@_with_server
def results(
    job: str,
    limit: int | None,
    out: Path | None,
    as_json: bool,
    url: str | None,
    token: str | None,
    **query: Any,
) -> int:
    """Print the results a job has so far, and save them if --out names a folder.

    A job that is done can be filtered and sorted.
    """
    asked = {name: value for name, value in query.items() if value is not None}
    with _connect(url, token) as client:
        return jobs.results(client, job, folder=out, as_json=as_json, limit=limit, **asked)


@cli.command()
@click.argument("job")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="file for it",
)
@click.option(
    "--lang", type=click.Choice(get_args(ReportLanguage)), default="zh", show_default=True
)
@_with_server
def report(job: str, output: Path, lang: ReportLanguage, url: str | None, token: str | None) -> int:
    """Save the report of a finished job, one HTML file to read, print and keep."""
    with _connect(url, token) as client:
        return jobs.report(client, job, lang=lang, output=output)


@cli.command()
@click.argument("job")
@_json_option
@_with_server
def retry(job: str, as_json: bool, url: str | None, token: str | None) -> int:
    """Run the images of a finished job again that did not succeed."""
    with _connect(url, token) as client:
        return jobs.retry(client, job, as_json=as_json)


@cli.command()
@click.argument("job")
@_json_option
@_with_server
def cancel(job: str, as_json: bool, url: str | None, token: str | None) -> int:
    """Cancel a job; results that exist stay."""
    with _connect(url, token) as client:
        return jobs.cancel(client, job, as_json=as_json)


@cli.group(invoke_without_command=True)
@_json_option
@_with_server
@click.pass_context
def models(context: click.Context, as_json: bool, url: str | None, token: str | None) -> int:
    """List the server's models; the commands below are about this machine's."""
    if context.invoked_subcommand is not None:
        return 0
    with _connect(url, token) as client:
        return jobs.models(client, as_json=as_json)


@cli.command()
@click.option("--once", is_flag=True, help="one look, then end")
@click.option(
    "--every", "every_s", type=click.FloatRange(0.5), default=2.0, show_default=True, help="seconds"
)
@_json_option
@_with_server
def top(once: bool, every_s: float, as_json: bool, url: str | None, token: str | None) -> int:
    """Show what the workers do, live, until Ctrl-C.

    Devices, images a second, the queue, the stages and which of them holds images up, and the
    latest errors. Takes an access token with the scope admin. With --json a line for each look.
    """
    with _connect(url, token) as client:
        return watching.top(client, once=once, every_s=every_s, as_json=as_json)


@cli.command()
@_json_option
@_with_server
def usage(as_json: bool, url: str | None, token: str | None) -> int:
    """Show how many images were submitted today and this month, and how many are left."""
    with _connect(url, token) as client:
        return jobs.usage(client, as_json=as_json)


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


@cli.group()
def webhooks() -> None:
    """Look after who is told when jobs end."""


@webhooks.command("create")
@click.argument("address", metavar="URL")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(JOB_EVENTS), help="default: all"
)
@_json_option
@_with_server
def create_webhook(
    address: str, events: Sequence[JobEvent], as_json: bool, url: str | None, token: str | None
) -> int:
    """Have URL told; shows the secret that signs, once."""
    with _connect(url, token) as client:
        return hooks.create(client, address, events=events or JOB_EVENTS, as_json=as_json)


@webhooks.command("list")
@_json_option
@_with_server
def list_webhooks(as_json: bool, url: str | None, token: str | None) -> int:
    """List the webhooks."""
    with _connect(url, token) as client:
        return hooks.show_all(client, as_json=as_json)


@webhooks.command("deliveries")
@click.argument("webhook")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@_json_option
@_with_server
def deliveries(webhook: str, limit: int, as_json: bool, url: str | None, token: str | None) -> int:
    """List the tries to reach a webhook, the newest first."""
    with _connect(url, token) as client:
        return hooks.deliveries(client, webhook, limit=limit, as_json=as_json)


@webhooks.command("rotate")
@click.argument("webhook")
@click.option("--overlap-s", type=click.IntRange(0), default=OVERLAP_S, show_default=True)
@_json_option
@_with_server
def rotate_webhook(
    webhook: str, overlap_s: int, as_json: bool, url: str | None, token: str | None
) -> int:
    """Replace the secret; the last one signs too for a while."""
    with _connect(url, token) as client:
        return hooks.rotate(client, webhook, overlap_s=overlap_s, as_json=as_json)


@webhooks.command("test")
@click.argument("webhook")
@_with_server
def send_test(webhook: str, url: str | None, token: str | None) -> int:
    """Send a test event."""
    with _connect(url, token) as client:
        return hooks.send_test(client, webhook)


@webhooks.command("delete")
@click.argument("webhook")
@_with_server
def delete_webhook(webhook: str, url: str | None, token: str | None) -> int:
    """Delete a webhook."""
    with _connect(url, token) as client:
        return hooks.delete(client, webhook)


@cli.group()
def feedback() -> None:
    """Look at what people say of results, or export it."""


@feedback.command("list")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="default: all")
@_since_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@_json_option
@_with_server
def list_feedback(
    kind: Kind | None,
    since: dt.datetime | None,
    limit: int,
    as_json: bool,
    url: str | None,
    token: str | None,
) -> int:
    """List feedback, the newest first."""
    with _connect(url, token) as client:
        return judging.show(client, kind=kind, since=since, limit=limit, as_json=as_json)


@feedback.command("export")
@click.option(
    "--format",
    type=click.Choice(get_args(ExportFormat)),
    default="jsonl",
    show_default=True,
    help="label-studio: tasks to import there; coco: the boxes, for trainers",
)
@_since_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file for it; default: it is printed",
)
@_with_server
def export_feedback(
    format: ExportFormat,
    since: dt.datetime | None,
    output: Path | None,
    url: str | None,
    token: str | None,
) -> int:
    """Export all feedback, the newest first."""
    with _connect(url, token) as client:
        return judging.export(client, format, since=since, output=output)


@cli.group()
def labelsets() -> None:
    """Look after label sets of your own."""


@labelsets.command("create")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="that looks at the pictures; default: one of the server's")
@click.option("--name", help="default: that of PATH")
@_json_option
@_with_server
def create_label_set(
    path: Path,
    model: str | None,
    name: str | None,
    as_json: bool,
    url: str | None,
    token: str | None,
) -> int:
    """Make a label set of PATH and wait until it is ready.

    PATH is a folder with one folder of pictures for each label, or a text file of words, one label
    a line. A label is called as its folder or line: in one language, or as 龙井_longjing in both.
    """
    with _connect(url, token) as client:
        return label_sets.create(client, path, model=model, name=name, as_json=as_json)


@labelsets.command("list")
@_json_option
@_with_server
def list_label_sets(as_json: bool, url: str | None, token: str | None) -> int:
    """List your label sets, the newest first."""
    with _connect(url, token) as client:
        return label_sets.show_all(client, as_json=as_json)


@labelsets.command("show")
@click.argument("label_set")
@click.option("--version", type=click.IntRange(1), help="default: the newest")
@_json_option
@_with_server
def show_label_set(
    label_set: str, version: int | None, as_json: bool, url: str | None, token: str | None
) -> int:
    """Show a version of a label set."""
    with _connect(url, token) as client:
        return label_sets.show(client, label_set, version=version, as_json=as_json)


@labelsets.command("absorb")
@click.argument("label_set")
@click.option("--job", help="feedback on items of this job; default: all")
@_since_option
@click.option("--accept", is_flag=True, help="make the version, and wait until it is ready")
@_json_option
@_with_server
def absorb_feedback(
    label_set: str,
    job: str | None,
    since: dt.datetime | None,
    accept: bool,
    as_json: bool,
    url: str | None,
    token: str | None,
) -> int:
    """Show what feedback would add to a label set; with --accept it becomes a new version."""
    with _connect(url, token) as client:
        return label_sets.absorb(
            client, label_set, job=job, since=since, accept=accept, as_json=as_json
        )


@labelsets.command("delete")
@click.argument("label_set")
@_with_server
def delete_label_set(label_set: str, url: str | None, token: str | None) -> int:
    """Delete a label set; jobs that run on it end well."""
    with _connect(url, token) as client:
        return label_sets.delete(client, label_set)


def _hand_over(
    group: click.Group, name: str, words: Sequence[str], text: str, *, runs_models: bool = True
) -> None:
    """Add a command that becomes `python -m worker WORDS ...`."""

    @group.command(name, context_settings=_pass_on, help=text, add_help_option=False)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: Sequence[str]) -> None:
        to_worker([*words, *arguments], runs_models=runs_models)


_hand_over(models, "fetch", ("models", "fetch"), "Fetch models to this machine.")
_hand_over(models, "list", ("models", "list"), "List the models of this machine.")
_hand_over(models, "check", ("models", "check"), "Run models of this machine once.")
_hand_over(models, "calibrate", ("models", "calibrate"), "Fit scores and verdicts.")
_hand_over(cli, "worker", ("run",), "Run a worker on this machine.")
_hand_over(cli, "admin", ("admin",), "Administer a server.", runs_models=False)
_hand_over(cli, "doctor", ("doctor",), "Check a deployment from here.", runs_models=False)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code."""
    try:
        code = cli.main(list(arguments), prog_name="guanwu", standalone_mode=False)
    except click.UsageError as exc:
        exc.show()
        return USAGE
    except (NoServer, ExtraMissing, OSError) as exc:
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
