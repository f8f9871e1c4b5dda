"""What a worker does to a job, done by hand through the same records and store."""

from __future__ import annotations

import time
from dataclasses import replace

from worker.contract import keys
from worker.contract.catalog import Catalog, LabelSetEntry, ModelEntry
from worker.contract.job import (
    ArtifactLink,
    Diagnostics,
    Explanation,
    ImageFacts,
    ItemResult,
    ItemStatus,
    JobStatus,
    Label,
    ManifestItem,
    settled_status,
)
from worker.contract.objects import ObjectStore
from worker.contract.records import Claim, JobRecords, Tally, connect
from worker.contract.settings import Settings
from worker.contract.views import job_view

CATALOG = Catalog(
    models=(
        ModelEntry(
            id="efficientnet-lite0",
            family="cnn",
            source="pypi:x",
            revision="1",
            label_set="imagenet1k",
            methods=("cam",),
            default=True,
        ),
    ),
    label_sets=(LabelSetEntry(id="imagenet1k", size=1000, languages=("zh", "en")),),
)
_FLAT = Diagnostics(
    entropy=1, effective_area=1, border_mass=0.1, spread=0.3, morans_i=0.0, flat=True
)


class Hand:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.records = JobRecords(self.redis, settings)
        self.store = ObjectStore(settings)

    def publish(self, catalog: Catalog = CATALOG) -> None:
        key = keys.RedisKeys(self.settings.redis_prefix).catalog
        self.redis.set(key, catalog.model_dump_json())

    def claim(self) -> Claim:
        claim = self.records.claim()
        assert claim is not None, "nothing is ready"
        return claim

    def finish(self, claim: Claim) -> None:
        """Results for every item of a claimed chunk, then the commit."""
        items = self.manifest(claim, claim.number)
        results = [self._result(claim, item) for item in items]
        self._put(keys.chunk_results(claim.record.tenant, claim.job, claim.number), results)
        failed = sum(r.status is ItemStatus.FAILED for r in results)
        self.records.finish(claim, Tally(succeeded=len(results) - failed, failed=failed))

    def finish_chunk(self) -> None:
        self.finish(self.claim())

    def work(self, job: str) -> None:
        """Work until the job is done."""
        while (record := self.records.read("local", job)) is None or not record.status.done:
            assert self.step(), "nothing is ready"

    def step(self) -> bool:
        """Work on what is ready next; False if nothing is."""
        claim = self.records.claim()
        if claim is None:
            return False
        if claim.verdict == "finalize":
            self.close(claim)
        elif claim.verdict == "cancelled":
            self.records.finish(claim, Tally(cancelled=claim.items))
        else:
            self.finish(claim)
        return True

    def close(self, claim: Claim) -> None:
        record, now_ms = claim.record, time.time_ns() // 1_000_000
        results = [r for n in range(record.chunks) for r in self._chunk(claim, n)]
        failed = [r for r in results if r.status is not ItemStatus.SUCCEEDED]
        self._put(keys.results(record.tenant, record.job), results)
        self._put(keys.errors(record.tenant, record.job), failed)
        stop = record.stop
        status = settled_status(
            record.counts, cancelled=stop == "cancelled", expired=stop == "expired"
        )
        view = job_view(replace(record, status=status, finished_ms=now_ms), now_ms=now_ms)
        body = view.model_dump_json().encode()
        key = keys.job_record(record.tenant, record.job)
        self.store.put(key, body, content_type="application/json")
        self.records.settle(claim, JobStatus(status), finished_ms=now_ms)

    def forget(self, job: str) -> None:
        """Redis loses the job's record, as it does when its time has come."""
        self.redis.delete(keys.RedisKeys(self.settings.redis_prefix).job(job))

    def manifest(self, claim: Claim, number: int) -> list[ManifestItem]:
        body = self.store.get(keys.manifest(claim.record.tenant, claim.job, number))
        return [ManifestItem.model_validate_json(line) for line in body.splitlines()]

    def _chunk(self, claim: Claim, number: int) -> list[ItemResult]:
        key = keys.chunk_results(claim.record.tenant, claim.job, number)
        if not self.store.exists(key):
            return []
        return [ItemResult.model_validate_json(line) for line in self.store.get(key).splitlines()]

    def _put(self, key: str, results: list[ItemResult]) -> None:
        body = "".join(r.model_dump_json() + "\n" for r in results).encode()
        self.store.put(key, body, content_type="application/x-ndjson")

    def _result(self, claim: Claim, item: ManifestItem) -> ItemResult:
        result = ItemResult(
            job=claim.job,
            index=item.index,
            custom_id=item.custom_id,
            status=ItemStatus.SUCCEEDED if item.error is None else ItemStatus.FAILED,
            image=ImageFacts(filename=item.filename),
            error=item.error,
        )
        return self._analysed(claim, item, result) if item.error is None else result

    def _analysed(self, claim: Claim, item: ManifestItem, bare: ItemResult) -> ItemResult:
        facts = ImageFacts(
            sha256="0" * 64, filename=item.filename, format="PNG", width=4, height=3, bytes=29
        )
        label = Label(
            rank=1, zh="虎斑猫", en="tabby", id=281, score=0.7, model="efficientnet-lite0"
        )
        maps = [
            self._map(claim, item, "dinov2-small", "attention", "free"),
            self._map(claim, item, "efficientnet-lite0", "cam", "281"),
        ]
        result = bare.model_copy(update={"image": facts, "labels": [label], "explanations": maps})
        key = keys.labels(claim.record.tenant, claim.job, item.index)
        self.store.put(key, result.model_dump_json().encode(), content_type="application/json")
        return result

    def _map(
        self, claim: Claim, item: ManifestItem, model: str, method: str, target: str
    ) -> Explanation:
        links = {}
        for kind in claim.record.options.artifacts:
            if kind == "labels":
                continue
            key = keys.artifact(
                claim.record.tenant,
                claim.job,
                item.index,
                model=model,
                method=method,
                target=target,
                kind=kind,
            )
            self.store.put(key, f"{model} {kind}".encode(), content_type="image/png")
            links[kind] = ArtifactLink(key=key)
        explained = None if target == "free" else {"label": "虎斑猫", "id": 281, "score": 0.7}
        return Explanation(
            model=model, method=method, target=explained, artifacts=links, diagnostics=_FLAT
        )
