"""Label sets that clients make, through the running stack: of words, and of example pictures."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.stack import Stack
from guanwu import AsyncClient, Client, RequestRefused
from guanwu.cli import main

WORDS = [{"zh": "猫", "en": "cat"}, {"zh": "狗", "en": "dog"}, {"zh": "咖啡", "en": "coffee"}]
KINDS = {"pagoda": "宝塔", "soccer_ball": "足球", "panda": "熊猫"}
BUILT_S = 120
MANY = 48  # labels, three chunks of pictures


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> dict[str, Sequence[bytes]]:
    """Two pictures of each kind."""
    folder = shared_data / "data" / "caltech101"
    return {kind: [p.read_bytes() for p in sorted((folder / kind).iterdir())] for kind in KINDS}


@pytest.fixture(scope="module")
def things(seer_stack: Stack, photos: dict[str, Sequence[bytes]]) -> dict[str, Any]:
    """A label set of one picture of each kind, and of a file that is none."""
    labels: list[dict[str, Any]] = [
        {"zh": zh, "en": kind, "examples": [as_data(photos[kind][0])]} for kind, zh in KINDS.items()
    ]
    labels[1]["examples"].append({**as_data(b"no picture"), "filename": "broken.jpg"})
    return built(seer_stack, make(seer_stack, model="seer", labels=labels))


def as_data(body: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(body).decode()}


def make(stack: Stack, **asked: Any) -> dict[str, Any]:
    answer = httpx.post(f"{stack.url}/v1/labelsets", json=asked, headers=stack.authorization)
    assert answer.status_code in (201, 202), answer.text
    made: dict[str, Any] = answer.json()
    return made


def built(stack: Stack, made: dict[str, Any]) -> dict[str, Any]:
    url, until_s = f"{stack.url}/v1/labelsets/{made['id']}", time.monotonic() + BUILT_S
    while made["status"] == "building":
        assert time.monotonic() < until_s
        time.sleep(0.2)
        made = httpx.get(url, headers=stack.authorization).json()
    return made


def submit(stack: Stack, pictures: Sequence[bytes], **options: Any) -> list[dict[str, Any]]:
    """The results of a job."""
    asked = {"images": [as_data(picture) for picture in pictures], "options": options}
    headers = {**stack.authorization, "Prefer": "wait=60"}
    answer = httpx.post(f"{stack.url}/v1/jobs", json=asked, headers=headers, timeout=90)
    assert answer.status_code == 200, answer.text
    for item in answer.json()["results"]:
        assert item["status"] == "succeeded", item["error"]
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_words_of_a_kept_set_are_scored_and_explained(
    seer_stack: Stack, photos: dict[str, Sequence[bytes]]
) -> None:
    made = make(seer_stack, labels=WORDS)
    (item,) = submit(
        seer_stack,
        photos["panda"][:1],
        models=["reader", "seer"],
        label_set=made["id"],
        explain=[{"target": {"label": "dog", "against": "猫"}}],
        artifacts=["labels", "overlay"],
    )
    of_reader = [label for label in item["labels"] if label["model"] == "reader"]
    assert sorted(label["en"] for label in of_reader) == ["cat", "coffee", "dog"]
    assert sum(label["score"] for label in of_reader) == pytest.approx(1, abs=1e-4)
    (explained,) = item["explanations"]
    assert explained["target"] == {"label": "狗", "id": 1, "against": "猫", "against_id": 0}


def test_a_bad_example_is_counted_and_does_not_fail_its_neighbours(things: dict[str, Any]) -> None:
    assert (things["status"], things["error"]) == ("ready", None)
    assert [label["examples"] for label in things["labels"]] == [1, 1, 1]
    (failed,) = things["failures"]
    assert things["failed_examples"] == 1
    assert (failed["label"], failed["filename"]) == ("足球", "broken.jpg")
    assert failed["code"] == "image_unsupported"


def test_one_example_a_label_names_other_pictures(
    seer_stack: Stack, things: dict[str, Any], photos: dict[str, Sequence[bytes]]
) -> None:
    others = [photos[kind][1] for kind in KINDS]
    items = submit(seer_stack, others, label_set=things["id"], artifacts=["labels"])
    assert [item["labels"][0]["zh"] for item in items] == list(KINDS.values())
    for item in items:
        assert {label["model"] for label in item["labels"]} == {"seer"}
        assert len(item["labels"]) == len(KINDS)


def test_maps_explain_the_labels_that_examples_made(
    seer_stack: Stack, things: dict[str, Any], photos: dict[str, Sequence[bytes]]
) -> None:
    assert "relevance" in things["methods"]
    target = {"label": "宝塔", "against": "panda"}
    (item,) = submit(
        seer_stack,
        photos["pagoda"][1:],
        label_set=f"{things['id']}@1",
        explain=[{"method": method} for method in things["methods"]] + [{"target": target}],
        artifacts=["labels", "overlay"],
    )
    told = [made["target"] for made in item["explanations"]]
    first = {"label": "宝塔", "id": 0}
    against = {**first, "against": "熊猫", "against_id": 2}
    assert told == [first] * len(things["methods"]) + [against]
    for made in item["explanations"]:
        assert not made["diagnostics"]["flat"], made["method"]
        assert httpx.get(made["artifacts"]["overlay"]["url"]).status_code == 200


def test_a_label_without_usable_examples_fails_the_version(
    seer_stack: Stack, photos: dict[str, Sequence[bytes]]
) -> None:
    labels = [
        {"zh": "熊猫", "examples": [as_data(photos["panda"][0])]},
        {"zh": "足球", "examples": [as_data(b"no picture")]},
    ]
    made = built(seer_stack, make(seer_stack, model="seer", labels=labels))
    assert (made["status"], made["error"]["code"]) == ("failed", "too_few_examples")
    assert "足球" in made["error"]["message"]
    asked = {"images": [as_data(photos["panda"][0])], "options": {"label_set": made["id"]}}
    answer = httpx.post(f"{seer_stack.url}/v1/jobs", json=asked, headers=seer_stack.authorization)
    assert (answer.status_code, answer.json()["code"]) == (409, "label_set_failed")


def post(stack: Stack, path: str, **asked: Any) -> dict[str, Any]:
    answer = httpx.post(f"{stack.url}{path}", json=asked, headers=stack.authorization, timeout=60)
    assert answer.status_code in (200, 201, 202), answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_corrected_pictures_and_boxes_become_examples_of_a_new_version(
    seer_stack: Stack, things: dict[str, Any], photos: dict[str, Sequence[bytes]]
) -> None:
    named = [photos["soccer_ball"][1], photos["panda"][1]]
    items = submit(seer_stack, named, label_set=things["id"], artifacts=["labels"])
    path = f"/v1/jobs/{items[0]['job']}/items"
    width, height = items[1]["image"]["width"], items[1]["image"]["height"]
    box = [width // 4, height // 4, width // 2, height // 2]
    post(seer_stack, f"{path}/0/feedback", kind="wrong_label", correct="soccer_ball")
    post(seer_stack, f"{path}/1/feedback", kind="wrong_region", box_px=box)
    proposal = post(seer_stack, f"/v1/labelsets/{things['id']}/absorb", job=items[0]["job"])
    assert proposal["added"] == {"足球": 1, "熊猫": 1}
    accept = f"/v1/labelsets/{things['id']}/proposals/{proposal['id']}/accept"
    made = built(seer_stack, post(seer_stack, accept))
    assert (made["version"], made["status"], made["failed_examples"]) == (2, "ready", 0)
    assert [label["examples"] for label in made["labels"]] == [1, 2, 2]
    others = [photos[kind][0] for kind in KINDS]
    again = submit(seer_stack, others, label_set=things["id"], artifacts=["labels"])
    assert [item["labels"][0]["zh"] for item in again] == list(KINDS.values())
    # The version before is what it was; a batch of another size rounds otherwise.
    before = submit(seer_stack, named, label_set=f"{things['id']}@1", artifacts=["labels"])
    for then, now in zip(items, before, strict=True):
        assert [x["zh"] for x in now["labels"]] == [x["zh"] for x in then["labels"]]
        scores = [[x["score"] for x in item["labels"]] for item in (then, now)]
        assert scores[1] == pytest.approx(scores[0], abs=1e-5)


def test_folders_become_a_label_set_on_the_command_line(
    seer_stack: Stack,
    photos: dict[str, Sequence[bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = ["--url", seer_stack.url, "--token", seer_stack.token]
    for kind, zh in KINDS.items():
        folder = tmp_path / "things" / f"{zh}_{kind}"
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(photos[kind][0])
    (tmp_path / "things" / "足球_soccer_ball" / "2.jpg").write_bytes(b"no picture")
    create = ["labelsets", "create", str(tmp_path / "things"), "--model", "seer"]
    assert main.run([*create, *server]) == 0
    told = capsys.readouterr().out
    assert "4 pictures of 3 labels for seer" in told
    assert "not used: 足球/2.jpg  image_unsupported" in told
    assert main.run(["labelsets", "list", "--json", *server]) == 0
    made = json.loads(capsys.readouterr().out.splitlines()[0])
    assert [(label["zh"], label["en"]) for label in made["labels"]] == sorted(
        ((zh, kind) for kind, zh in KINDS.items())
    )
    (tmp_path / "words.txt").write_text("龙井_longjing\n铁观音\n", encoding="utf-8")
    assert main.run(["labelsets", "create", str(tmp_path / "words.txt"), "--json", *server]) == 0
    words = json.loads(capsys.readouterr().out)
    assert [(label["zh"], label["en"]) for label in words["labels"]] == [
        ("龙井", "longjing"),
        ("铁观音", "铁观音"),
    ]
    assert main.run(["labelsets", "delete", made["id"], *server]) == 0
    assert main.run(["labelsets", "show", made["id"], *server]) == main.REFUSED
    assert main.run(["labelsets", "create", str(tmp_path), *server]) == main.USAGE


def test_the_python_of_the_document_works(
    seer_stack: Stack,
    photos: dict[str, Sequence[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, kind, n in (
        ("1", "panda", 0),
        ("2", "panda", 1),
        ("3", "pagoda", 0),
        ("cup", "pagoda", 1),
    ):
        Path(f"{name}.jpg").write_bytes(photos[kind][n])
    document = (Path(__file__).parents[2] / "docs/label-sets.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    with Client(seer_stack.url, seer_stack.token) as client:
        told: dict[str, Any] = {"client": client, "Path": Path}
        exec(block, told)
        assert told["tea"].status == "ready"
        assert told["job"].wait(timeout_s=60).counts.succeeded == 1
        (item,) = told["job"].results()
        assert item.labels[0].zh == "铁观音"


def test_the_client_for_asyncio_makes_names_and_adds_to_sets(
    seer_stack: Stack, photos: dict[str, Sequence[bytes]]
) -> None:
    async def all_of_it() -> None:
        async with AsyncClient(seer_stack.url, seer_stack.token) as client:
            made = await client.labelsets.of_examples(
                {"熊猫": [photos["panda"][0]], "宝塔": [photos["pagoda"][0]]}, model="seer"
            )
            assert made.id in [one.id async for one in client.labelsets.list()]
            options = {"label_set": made.id, "artifacts": ["labels"]}
            job = await client.submit([photos["soccer_ball"][0]], options=options)
            await job.wait(timeout_s=60)
            said = await client.feedback.mark(job.id, 0, kind="wrong_label", correct="宝塔")
            proposal = await client.labelsets.absorb(made.id, job=job.id)
            assert [one.feedback for one in proposal.examples] == [said.id]
            later = await client.labelsets.accept(proposal)
            assert (later.version, later.status) == (2, "ready")
            assert [label.examples for label in later.labels] == [1, 2]
            words = await client.labelsets.of_words(["龙井", ("铁观音", "tieguanyin")])
            assert (await client.labelsets.get(words.id)).labels == words.labels
            await client.labelsets.delete(words.id)
            with pytest.raises(RequestRefused, match="no such label set"):
                await client.labelsets.get(words.id)

    asyncio.run(all_of_it())


def test_a_build_survives_a_killed_worker_and_the_set_a_flushed_redis(
    seer_stack: Stack, shared_data: Path
) -> None:
    folders = sorted((shared_data / "data" / "caltech101").iterdir())[:MANY]
    first, second = ([sorted(folder.iterdir())[n] for folder in folders] for n in (0, 1))
    examples = {folder.name: [path] for folder, path in zip(folders, first, strict=True)}
    with Client(seer_stack.url, seer_stack.token) as client:
        made = client.labelsets.of_examples(examples, model="seer", wait=False)
        assert (made.status, made.job is not None) == ("building", True)
        job, until_s = client.job(made.job or ""), time.monotonic() + BUILT_S
        while not job.refresh().counts.succeeded:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        assert not job.view.done
        seer_stack.workers[0].kill()
        seer_stack.restart_worker()
        made = client.labelsets.wait(made, timeout_s=BUILT_S)
        assert (made.status, made.failed_examples) == ("ready", 0)
        assert [label.examples for label in made.labels] == [1] * MANY
        with seer_stack.valkey.client() as redis:
            redis.flushall()
        options = {"label_set": made.id, "artifacts": ["labels"]}
        job = client.submit(second, options=options)
        assert job.wait(timeout_s=BUILT_S).counts.succeeded == MANY
        right = sum(
            item.labels[0].zh == folder.name
            for item, folder in zip(job.results(), folders, strict=True)
        )
    assert right >= 0.7 * MANY  # one example a label; 39 of 48 were seen
