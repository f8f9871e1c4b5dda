"""The planner on real Redis and S3: sources become chunks, whole and once."""

from __future__ import annotations

import datetime as dt
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from guanwu.wire.base import new_id
from guanwu.wire.requests import Source
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.claims.leases import Leases
from worker.contract.errors import LeaseLost
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.job_record import Claim, JobRecord, Tally
from worker.contract.records.quota import Allowance, allowances
from worker.contract.records.records import Records
from worker.contract.settings.model import Settings
from worker.coordination.planner import SHARDS_A_STEP, Planner
from worker.sources.entry import Entry, SourceReader
from worker.sources.factory import open_source

CHUNK = 2
STEP = SHARDS_A_STEP * CHUNK


@dataclass
class Desk:
    settings: Settings
    records: Records
    store: ObjectStore
    leases: Leases
    pool: ThreadPoolExecutor

    def planner(self, reader: SourceReader | None = None) -> Planner:
        return Planner(
            self.records,
            self.store,
            self.leases,
            self.pool,
            lambda record: reader or open_source(record, self.store, self.settings),
            lambda _: None,
            max_images=self.settings.max_job_images,
            max_attempts=3,
            at_once=1,
        )

    def submit(self, kind: str, key: str, own: Sequence[Allowance] = ()) -> str:
        job = new_id("job")
        self.records.jobs.create(
            new_record(
                job,
                total=0,
                chunk_images=CHUNK,
                source=Source.model_validate(
                    {"kind": kind, "address": f"s3://{self.store.bucket}/{key}"}
                ),
            ),
            own,
        )
        return job

    def claim(self) -> Claim:
        claim = self.records.claims.claim()
        assert claim is not None
        return claim

    def plan(self, kind: str, key: str) -> str:
        job = self.submit(kind, key)
        self.planner().run(self.claim())
        return job

    def read(self, job: str) -> JobRecord:
        record = self.records.jobs.read("one", job)
        assert record is not None
        return record

    def items(self, job: str) -> list[ManifestItem]:
        shards = range(self.read(job).chunks)
        lines = [self.store.get(keys.manifest("one", job, n)).splitlines() for n in shards]
        return [ManifestItem.model_validate_json(line) for shard in lines for line in shard]

    def put(self, key: str, body: bytes) -> None:
        self.store.put(key, body, content_type="application/octet-stream")


@pytest.fixture
def desk(settings: SettingsFactory) -> Iterator[Desk]:
    own = settings(max_image_bytes=1000, max_unpacked_bytes=2500)
    own = own.model_copy(update={"s3_input_buckets": own.s3_bucket})
    records, store = Records(connect(own), own), ObjectStore(own)
    with ThreadPoolExecutor(4) as pool:
        yield Desk(own, records, store, Leases(records, heartbeat_s=5), pool)


class Counting:
    """A source of `count` images that stops short, once, after `dies_after`."""

    def __init__(self, count: int, *, dies_after: int | None = None) -> None:
        self.count = count
        self.dies_after = dies_after

    def entries(self, cursor: str) -> Iterator[Entry]:
        for n in range(int(cursor or 0), self.count):
            if n == self.dies_after:
                raise LeaseLost("the planner died")
            yield Entry(ManifestItem(index=0, source=f"s3://b/{n}"), str(n + 1))


def test_a_long_source_is_planned_step_by_step_in_whole_shards(desk: Desk) -> None:
    job = desk.submit("prefix", "unused/")
    desk.planner(Counting(2 * STEP + 3)).run(desk.claim())
    record = desk.read(job)
    assert record.sealed
    assert record.counts.total == 2 * STEP + 3
    items = desk.items(job)
    assert [item.index for item in items] == list(range(2 * STEP + 3))
    assert [item.source for item in items] == [f"s3://b/{n}" for n in range(2 * STEP + 3)]


def test_a_worker_plans_one_job_at_a_time_and_gives_the_next_back(desk: Desk) -> None:
    first, second = desk.submit("prefix", "a/"), desk.submit("prefix", "b/")
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def entries(self, cursor: str) -> Iterator[Entry]:
            entered.set()
            assert leave.wait(10)
            yield Entry(ManifestItem(index=0, source="s3://b/1"), "1")

    planner = desk.planner(Slow())
    busy = threading.Thread(target=planner.run, args=[desk.claim()])
    busy.start()
    assert entered.wait(10)
    planner.run(desk.claim())
    assert not desk.read(second).sealed
    leave.set()
    busy.join()
    assert desk.read(first).sealed
    time.sleep(1.1)
    desk.records.queue.sweep()
    planner.run(next(c for c in (desk.claim(), desk.claim()) if c.action == "plan"))
    assert desk.read(second).sealed


def test_a_source_that_ends_with_a_step_is_sealed_too(desk: Desk) -> None:
    job = desk.submit("prefix", "unused/")
    desk.planner(Counting(STEP)).run(desk.claim())
    assert desk.read(job).sealed


@pytest.mark.parametrize("dies_after", [0, 1, STEP - 1, STEP, STEP + 5, 2 * STEP])
def test_a_planner_killed_anywhere_leaves_no_gap_and_no_double(desk: Desk, dies_after: int) -> None:
    count = 2 * STEP + 3
    job = desk.submit("prefix", "unused/")
    first = desk.claim()
    with pytest.raises(LeaseLost):
        desk.planner(Counting(count, dies_after=dies_after)).run(first)
    desk.records.claims.release(first)
    desk.planner(Counting(count)).run(desk.claim())
    assert [item.source for item in desk.items(job)] == [f"s3://b/{n}" for n in range(count)]


def test_manifest_lines_of_both_forms_become_items_and_bad_ones_errors(desk: Desk) -> None:
    bucket = desk.store.bucket
    lines = [
        {"custom_id": "a", "image": {"s3": f"s3://{bucket}/t/one/1.jpg"}, "options": {"top_k": 2}},
        {"source-ref": f"s3://{bucket}/t/one/猫.jpg", "label-metadata": {"x": 1}},
        "not json",
        {"custom_id": "c", "image": {"s3": "s3://foreign/1.jpg"}},
        {"custom_id": "d", "image": {"s3": f"s3://{bucket}/t/two/secret.jpg"}},
        {"image": {}},
        {"image": {"s3": f"s3://{bucket}/t/one/2.jpg"}, "options": {"top_k": 0}},
        {"image": {"upload": "upl_01J00000000000000000000000"}},
    ]
    body = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
    desk.put("list.jsonl", body.encode() + b"\n\n" + b"x" * 70_000)
    items = desk.items(desk.plan("manifest", "list.jsonl"))
    codes = [item.error.code if item.error else None for item in items]
    bad = "manifest_line_invalid"
    assert codes == [None, None, bad, "input_forbidden", "input_forbidden", bad, bad, None, bad]
    assert items[0].custom_id == "a"
    assert items[0].options is not None
    assert items[0].options.top_k == 2
    assert items[1].filename == "猫.jpg"
    assert items[7].source == f"s3://{bucket}/t/one/uploads/upl_01J00000000000000000000000"
    messages = [item.error.message for item in items if item.error]
    assert [m.split(":")[0] for m in messages] == [f"line {n}" for n in (3, 4, 5, 6, 7, 10)]


def test_manifest_lines_may_name_urls_of_allowed_hosts(desk: Desk) -> None:
    changes = {"url_input_hosts": "img.example.org"}
    desk.settings = desk.settings.model_copy(update=changes)
    urls = ["https://img.example.org/%E7%8C%AB.jpg", "https://127.0.0.1/", "file:///etc/passwd"]
    body = "\n".join(json.dumps({"image": {"url": url}}) for url in urls)
    desk.put("list.jsonl", body.encode())
    items = desk.items(desk.plan("manifest", "list.jsonl"))
    assert (items[0].source, items[0].filename, items[0].error) == (urls[0], "猫.jpg", None)
    assert [i.error.code for i in items[1:] if i.error] == ["url_not_allowed"] * 2
    assert items[1].error is not None
    assert items[1].error.message.startswith("line 2: ")


def test_a_manifest_is_read_on_from_its_cursor(desk: Desk) -> None:
    line = json.dumps({"source-ref": f"s3://{desk.store.bucket}/t/one/猫.jpg"}, ensure_ascii=False)
    desk.put("list.jsonl", "\n".join([line] * 5).encode())
    job = desk.submit("manifest", "list.jsonl")
    reader = open_source(desk.read(job), desk.store, desk.settings)
    cursors = [entry.cursor for entry in reader.entries("")]
    assert [cursor.split(":")[1] for cursor in cursors] == ["1", "2", "3", "4", "5"]
    for n, cursor in enumerate(cursors, start=1):
        assert len(list(reader.entries(cursor))) == 5 - n


def test_a_folder_gives_its_images_and_nothing_else(desk: Desk) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "sub/c.webp"):
        desk.put(f"pets/{name}", b"x")
    desk.put("pets-too/d.png", b"x")
    items = desk.items(desk.plan("prefix", "pets/"))
    assert [item.custom_id for item in items] == ["a.png", "b.JPG", "sub/c.webp"]


def test_a_folder_of_more_than_one_listing_page_is_read_whole(desk: Desk) -> None:
    list(desk.pool.map(lambda n: desk.put(f"many/{n:05d}.png", b"x"), range(1005)))
    items = desk.items(desk.plan("prefix", "many/"))
    assert [item.filename for item in items] == [f"{n:05d}.png" for n in range(1005)]


def make_zip(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def make_tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return file.getvalue()


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar.gz"])
def test_an_archive_is_unpacked_by_content_and_no_name_leads_out(desk: Desk, name: str) -> None:
    members = {"猫/1.jpg": b"one", "../../etc/2.png": b"two", "notes.txt": b"no"}
    desk.put(name, make_zip(members) if name.endswith("zip") else make_tar(members))
    items = desk.items(desk.plan("archive", name))
    good = [item for item in items if item.error is None]
    assert [(item.custom_id, item.filename) for item in good] == [
        ("猫/1.jpg", "1.jpg"),
        ("../../etc/2.png", "2.png"),
    ]
    for item, data in zip(good, (b"one", b"two"), strict=True):
        assert item.source is not None
        key = item.source.removeprefix(f"s3://{desk.store.bucket}/")
        assert key.startswith("t/one/inputs/")
        assert desk.store.get(key) == data
    assert [item.error.code for item in items if item.error] == (
        ["image_corrupt"] if name.endswith("gz") else []
    )


def test_a_member_that_unpacks_too_large_fails_alone(desk: Desk) -> None:
    desk.put("big.zip", make_zip({"1.png": b"0" * 500_000, "2.png": b"fine"}))
    items = desk.items(desk.plan("archive", "big.zip"))
    assert [item.error.code if item.error else None for item in items] == ["image_too_large", None]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("bomb.zip", make_zip({f"{n}.png": bytes([n]) * 999 for n in range(3)}), "unpacks to more"),
        ("text.zip", b"this is no archive", "neither a sound zip nor tar"),
        ("empty.zip", make_zip({"notes.txt": b"x"}), "no image"),
        ("missing.zip", None, "no object"),
    ],
)
def test_an_unreadable_source_ends_the_job_and_says_why(
    desk: Desk, name: str, body: bytes | None, why: str
) -> None:
    if body is not None:
        desk.put(name, body)
    record = desk.read(desk.plan("archive", name))
    assert record.sealed
    assert record.error is not None
    assert record.error.code == "source_invalid"
    assert why in record.error.message
    while (final := desk.records.claims.claim()) is not None and final.action != "finalize":
        desk.records.claims.finish(final, Tally(succeeded=final.items))
    assert final is not None
    assert final.job == record.job


def test_a_job_cancelled_while_it_is_planned_plans_no_more(desk: Desk) -> None:
    job = desk.submit("prefix", "unused/")
    claim = desk.claim()
    desk.records.jobs.cancel("one", job)
    desk.planner(Counting(STEP * 5)).run(claim)
    record = desk.read(job)
    assert record.sealed
    assert record.counts.total == 0
    assert desk.claim().action == "finalize"


def test_source_over_the_quota_ends_the_job_after_what_was_planned(desk: Desk) -> None:
    now = dt.datetime.now(dt.UTC)
    limit = desk.settings.model_copy(update={"tenant_images_per_day": STEP + 1})
    own = allowances("one", key=None, own={}, settings=limit, now=now)
    job = desk.submit("prefix", "p/", own)
    desk.planner(Counting(2 * STEP)).run(desk.claim())
    record = desk.read(job)
    assert (record.counts.total, record.sealed) == (STEP, True)
    assert record.error is not None
    assert record.error.code == "quota_exceeded"
    assert desk.records.queue.used(own) == [STEP, STEP]
