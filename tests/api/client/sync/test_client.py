"""The Python client against a real front door."""

from __future__ import annotations

import resource
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from guanwu import (
    Client,
    RequestRefused,
    ServerUnavailable,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from tests.api.fake_worker import Hand
from tests.api.requests import PNG, TOKEN, Calls
from worker.contract.errors import RedisUnavailable
from worker.contract.label_set import LabelSet

UNKNOWN = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def test_pictures_come_back_with_labels_and_heatmaps(
    client: Client, at_work: Hand, tmp_path: Path
) -> None:
    path = tmp_path / "猫.png"
    path.write_bytes(PNG)
    job = client.submit([path, str(path), PNG, ("named.png", PNG)], metadata={"批": 1})
    assert job.view.metadata == {"批": 1}
    assert job.wait(timeout_s=30).status == "succeeded"
    items = list(job.results())
    assert [item.index for item in items] == [0, 1, 2, 3]
    assert [item.image.filename for item in items] == [
        "猫.png",
        "猫.png",
        "00000002",
        "named.png",
    ]
    assert items[0].labels[0].zh == "虎斑猫"
    link = items[0].explanations[0].artifacts["overlay"]
    assert client.download(link) == b"dinov2-small overlay"


def test_more_pictures_than_a_page_are_all_iterated(client: Client, at_work: Hand) -> None:
    job = client.submit([PNG] * 205)
    job.wait(timeout_s=60)
    assert [item.index for item in job.results()] == list(range(205))


def test_more_files_than_may_be_open_are_submitted(
    client: Client, hand: Hand, tmp_path: Path
) -> None:
    paths = []
    for n in range(150):
        path = tmp_path / f"{n}.png"
        path.write_bytes(PNG + str(n).encode())
        paths.append(path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = psutil.Process().num_fds() + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, before[1]))
    try:
        job = client.submit(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert job.view.counts.total == 150
    source = hand.manifest(hand.claim(), 0)[3].source
    assert source is not None
    assert hand.store.get(source.split("/", 3)[3]) == PNG + b"3"


def test_bytes_sent_are_counted(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    path.write_bytes(PNG * 10_000)
    sent: list[int] = []
    client.submit([path], on_sent=sent.append)
    assert sum(sent) == len(PNG) * 10_000
    assert len(sent) > 2


def test_results_so_far_are_iterated_while_the_job_runs(client: Client, hand: Hand) -> None:
    job = client.submit([PNG] * 10)
    hand.finish_chunk()
    assert [item.index for item in job.results()] == [0, 1, 2, 3]


def test_waiting_ends_in_time(client: Client) -> None:
    job = client.submit([PNG])
    with pytest.raises(WaitTimeout, match="queued"):
        job.wait(timeout_s=0.5)


def test_job_is_found_again_and_cancelled(client: Client, hand: Hand) -> None:
    first = client.submit([PNG]).id
    assert client.job(first).view.status == "queued"
    assert client.job(first).cancel().status == "cancelling"
    assert next(client.jobs()).id == first


def test_a_picture_is_asked_about_again(client: Client, at_work: Hand) -> None:
    job = client.submit([("猫.png", PNG)])
    job.wait(timeout_s=30)
    why = job.explain(0, {"explain": [{"target": {"label": "虎斑猫", "against": "火箭"}}]})
    assert why.id != job.id
    why.wait(timeout_s=30)
    assert [item.image.filename for item in why.results()] == ["猫.png"]


def test_models_are_listed_and_labels_found(client: Client, hand: Hand) -> None:
    hand.publish_labels(LabelSet.from_names("zoo", ["狗", "猫"]))
    assert [model.id for model in client.models().models] == ["efficientnet-lite0"]
    assert [(label.id, label.zh) for label in client.labels("zoo", "mao")] == [(1, "猫")]


def test_unknown_job_is_refused_with_its_code(client: Client) -> None:
    with pytest.raises(RequestRefused) as refused:
        client.job(UNKNOWN)
    assert (refused.value.status, refused.value.code) == (404, "job_not_found")
    assert refused.value.problem.request_id


def test_wrong_token_is_refused(url: str) -> None:
    with Client(url, "wrong-token-of-somebody") as client, pytest.raises(RequestRefused) as refused:
        client.models()
    assert refused.value.code == "unauthorized"


def test_missing_file_is_told_before_anything_is_sent(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        client.submit([tmp_path / "nothing.png"])
    with pytest.raises(IsADirectoryError, match="folder"):
        client.submit([tmp_path])
    assert list(client.jobs()) == []


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with Client(url, TOKEN, retries=0) as client, pytest.raises(ServerUnreachable):
            client.models()


def test_somebody_else_there_is_unexpected(hand: Hand) -> None:
    endpoint = hand.settings.s3_endpoint
    assert endpoint is not None
    with Client(endpoint, TOKEN, retries=0) as client, pytest.raises(UnexpectedAnswer):
        client.models()


def test_unavailable_server_is_asked_again_as_it_wishes(
    client: Client, calls: Calls, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = calls.app.extensions["guanwu"]
    asked = []

    def away() -> None:
        asked.append(time.monotonic())
        raise RedisUnavailable("away")

    monkeypatch.setattr(services.catalog, "current", away)
    with pytest.raises(ServerUnavailable) as unavailable:
        client.models()
    assert unavailable.value.problem.retry_after_s == 2
    assert len(asked) == 2  # `retries=1`
    assert asked[1] - asked[0] >= 2


def test_submission_whose_answer_was_lost_is_sent_again_and_is_one_job(
    client: Client, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = calls.app.extensions["guanwu"].records
    create = records.jobs.create

    def made_but_unheard(*args: Any, **named: Any) -> None:
        monkeypatch.setattr(records.jobs, "create", create)
        create(*args, **named)
        raise RedisUnavailable("away")

    monkeypatch.setattr(records.jobs, "create", made_but_unheard)
    job = client.submit([PNG])
    assert records.jobs.create == create
    assert [listed.id for listed in client.jobs()] == [job.id]
