"""The `guanwu` command, run as people run it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guanwu import Client
from guanwu.cli import main
from guanwu.core import retries
from tests.api.client.command import COMMAND, Guanwu
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKEN
from worker.commands import handover


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("cat.png", "cat.jpg", "rocket.jpg"):
        (folder / name).write_bytes(PNG + name.encode())
    return folder


def test_folder_is_submitted_shown_and_saved(
    guanwu: Guanwu, at_work: Hand, photos: Path, tmp_path: Path
) -> None:
    done = guanwu.process("submit", "photos")
    assert done.returncode == 0, done.stderr
    for word in ("图片", "识别结果", "置信度", "热图", "虎斑猫", "0.70", "rocket.jpg"):
        assert word in done.stdout
    assert "out/rocket_overlay.png" in done.stdout
    saved = sorted(path.name for path in (tmp_path / "out").iterdir())
    expected = ["labels.json", "overlay.png", "figure.png"]
    expected += ["dinov2-small_attention_overlay.png", "dinov2-small_attention_figure.png"]
    stems = ("cat_jpg", "cat_png", "rocket")
    assert saved == sorted(f"{stem}_{what}" for stem in stems for what in expected)
    assert (tmp_path / "out/rocket_overlay.png").read_bytes() == b"efficientnet-lite0 overlay"
    labels = (tmp_path / "out/rocket_labels.json").read_text()
    assert "虎斑猫" in labels
    assert "X-Amz-Signature" not in labels
    assert done.stderr == ""  # no progress bar where nobody watches


def test_json_gives_one_object_a_line_and_saves_nothing(
    guanwu: Guanwu, at_work: Hand, photos: Path, tmp_path: Path
) -> None:
    done = guanwu("submit", "photos/cat.png", "photos/rocket.jpg", "--json")
    assert done.returncode == 0
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["picture"] for item in items] == ["photos/cat.png", "photos/rocket.jpg"]
    assert items[0]["labels"][0]["zh"] == "虎斑猫"
    assert items[0]["files"] == {}
    assert not (tmp_path / "out").exists()


def test_failed_pictures_make_exit_code_1_and_say_why(
    guanwu: Guanwu, at_work: Hand, photos: Path
) -> None:
    (photos / "empty.png").touch()
    done = guanwu("submit", "photos", "--out", "here")
    assert done.returncode == 1
    assert "image_empty" in done.stdout
    assert "3 of 4 succeeded" in done.stdout


def test_nothing_but_failures_is_exit_code_5(guanwu: Guanwu, at_work: Hand, photos: Path) -> None:
    (photos / "empty.png").touch()
    assert guanwu("submit", "photos/empty.png").returncode == 5


def test_options_go_to_the_server(guanwu: Guanwu, at_work: Hand, photos: Path) -> None:
    options = ("--model", "efficientnet-lite0", "--top-k", 2, "--colormap", "magma", "--alpha", 0.3)
    done = guanwu("submit", "photos/cat.png", "--json", *options, "--priority", "bulk")
    job = json.loads(done.stdout)["job"]
    asked = json.loads(guanwu("status", job, "--json").stdout)["options"]
    assert asked["models"] == ["efficientnet-lite0"]
    assert (asked["top_k"], asked["colormap"], asked["alpha"]) == (2, "magma", 0.3)
    assert asked["artifacts"] == ["labels", "overlay", "figure", "thumbnail"]
    assert asked["priority"] == "bulk"


def test_wrong_command_lines_are_exit_code_2(guanwu: Guanwu, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for arguments in (
        ("submit",),
        ("submit", "nothing.png"),
        ("submit", "none"),
        ("submit", "photos", "--top-k", "0"),
        ("submit", "photos", "--model", "*"),
        ("fly",),
    ):
        done = guanwu(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_refusals_are_exit_code_3_with_the_remedy(guanwu: Guanwu, hand: Hand, photos: Path) -> None:
    hand.publish()
    done = guanwu("submit", "photos", "--model", "resnet")
    assert done.returncode == 3
    assert "there is efficientnet-lite0" in done.stderr
    assert "[unknown_model]" in done.stderr
    assert guanwu("status", "job_x").returncode == 3
    assert guanwu("status", "job_x", "--token", "wrong-token-indeed").returncode == 3


def test_no_server_is_exit_code_4(
    guanwu: Guanwu, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_S", 0.01)
    done = guanwu("submit", "photos", "--url", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "is the server up?" in done.stderr


def test_unnamed_server_is_told_with_the_remedy(
    guanwu: Guanwu, environment: dict[str, str]
) -> None:
    nameless = {k: v for k, v in environment.items() if not k.startswith("GUANWU_")}
    done = guanwu.process("models", env=nameless)
    assert done.returncode == 2
    assert "make up" in done.stderr


def test_stack_of_this_folder_is_the_default(
    guanwu: Guanwu, hand: Hand, environment: dict[str, str], tmp_path: Path
) -> None:
    hand.publish()
    nameless = {k: v for k, v in environment.items() if not k.startswith("GUANWU_")}
    (tmp_path / ".guanwu").mkdir()
    stack = {"url": environment["GUANWU_URL"], "token": TOKEN, "pid": 1}
    (tmp_path / ".guanwu/stack.json").write_text(json.dumps(stack))
    done = guanwu("models", env=nameless)
    assert done.returncode == 0, done.stderr
    assert "* efficientnet-lite0" in done.stdout
    elsewhere = guanwu("models", "--url", "http://127.0.0.1:9", env=nameless)
    assert "no access token" in elsewhere.stderr  # the stack's token is not sent to others


def test_job_is_looked_at_again_later(
    guanwu: Guanwu, hand: Hand, photos: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    submitting = subprocess.Popen(
        [*COMMAND, "submit", "photos"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    job = _first_job(guanwu, hand)
    assert "queued" in guanwu("status", job).stdout
    assert guanwu("results", job).returncode == 0
    submitting.send_signal(signal.SIGINT)
    _, told = submitting.communicate(timeout=20)
    assert submitting.returncode == 130
    assert f"guanwu results {job} --out DIR" in told
    hand.work(job)
    done = guanwu("results", job, "--out", "later")
    assert done.returncode == 0
    assert (tmp_path / "later/rocket_figure.png").exists()
    assert (tmp_path / "later/cat_png_labels.json").exists()


def _first_job(guanwu: Guanwu, hand: Hand) -> str:
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        ids = hand.records.jobs.recent("local", limit=1)
        if ids:
            time.sleep(0.5)
            return ids[0]
        time.sleep(0.05)
    raise AssertionError("no job came")


def test_cancelled_job_is_exit_code_5(guanwu: Guanwu, client: Client, hand: Hand) -> None:
    job = client.submit([PNG]).id
    done = guanwu("cancel", job)
    assert (done.returncode, done.stdout) == (0, f"{job} is cancelling\n")
    hand.work(job)
    assert guanwu("status", job).returncode == 5


def test_worker_commands_are_handed_over(guanwu: Guanwu) -> None:
    done = guanwu.process("models", "list", "--help")  # becomes another program
    assert "python -m worker models list" in done.stdout


def test_missing_extra_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(handover, "NEEDED", ("a_package_nobody_has",))
    assert main.run(["worker", "--help"]) == 2
    assert 'pip install "guanwu-server[worker]"' in capfd.readouterr().err


def test_webhooks_are_looked_after(guanwu: Guanwu) -> None:
    def told(*words: str) -> str:
        done = guanwu("webhooks", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    url = "https://shop.example/hooks"
    webhook, secret = told("create", url, "--event", "job.failed").split()
    assert told("list") == f"{webhook}  {url}  job.failed  on\n"
    assert secret not in told("list", "--json")
    assert told("rotate", webhook).split()[1] != secret
    assert "is queued" in told("test", webhook)
    assert told("deliveries", webhook) == ""
    told("delete", webhook)
    assert told("list") == ""
    assert guanwu("webhooks", "test", webhook).returncode == 3


def test_feedback_is_listed_and_exported(
    guanwu: Guanwu, client: Client, hand: Hand, tmp_path: Path
) -> None:
    hand.publish()
    job = client.submit([PNG]).id
    hand.work(job)
    right = client.feedback.mark(job, 0, kind="right", by="小王")
    label = client.feedback.mark(job, 0, kind="wrong_label", correct="豹", free=True)
    shown = guanwu("feedback", "list").stdout.splitlines()
    assert [line.split()[2] for line in shown] == [label.id, right.id]
    assert shown[0].endswith("虎斑猫  wrong_label: 豹")
    assert shown[1].endswith("虎斑猫  right  小王")
    assert right.id in guanwu("feedback", "list", "--kind", "right", "--json").stdout
    printed = guanwu("feedback", "export").stdout.splitlines()
    assert [json.loads(line)["id"] for line in printed] == [label.id, right.id]
    done = guanwu("feedback", "export", "--format", "label-studio", "--output", "tasks.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    tasks = json.loads((tmp_path / "tasks.json").read_bytes())
    assert [task["data"]["feedback"] for task in tasks] == [label.id, right.id]
    boxes = json.loads(guanwu("feedback", "export", "--format", "coco").stdout)
    assert boxes["images"] == []
    for since, found in (("2020-01-01", 2), ("2999-01-01T00:00:00Z", 0)):
        lines = guanwu("feedback", "export", "--since", since).stdout.splitlines()
        assert len(lines) == found
    assert guanwu("feedback", "export", "--since", "soon").returncode == 2
    assert guanwu("feedback", "export", "--format", "xml").returncode == 2


def test_worked_example_of_the_document_works(
    environment: dict[str, str], client: Client, hand: Hand, tmp_path: Path
) -> None:
    hand.publish()
    job = client.submit([PNG]).id
    hand.work(job)
    document = (Path(__file__).parents[4] / "docs/feedback.md").read_text()
    (block,) = re.findall(r"```bash\n(.*?)```", document, re.DOTALL)
    alias = f'guanwu() {{ {" ".join(COMMAND)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-ec", alias + block], env={**environment, "JOB": job}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "wrong_label: 埃及猫  小王" in done.stdout
    (task,) = json.loads((tmp_path / "tasks.json").read_bytes())
    interface = document.partition("```xml")[2]
    for result in task["predictions"][0]["result"] + task["annotations"][0]["result"]:
        assert f'name="{result["from_name"]}" toName="{result["to_name"]}"' in interface
    assert json.loads((tmp_path / "said.jsonl").read_bytes())["correct"]["zh"] == "埃及猫"


def test_a_report_is_saved_in_the_language_asked_for(
    guanwu: Guanwu, at_work: Hand, photos: Path, tmp_path: Path
) -> None:
    job = json.loads(guanwu("submit", "photos", "--json").stdout.splitlines()[0])["job"]
    done = guanwu("report", job, "--output", "one.html", "--lang", "en")
    assert (done.returncode, done.stdout) == (0, "one.html\n"), done.stderr
    assert f"Report of a job {job}" in (tmp_path / "one.html").read_text()
    assert guanwu("report", job).returncode == 0
    assert "任务报告" in (tmp_path / "report.html").read_text()
    assert guanwu("report", job, "--lang", "fr").returncode == 2
    assert guanwu("report", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV").returncode == 3
