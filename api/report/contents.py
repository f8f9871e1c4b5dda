"""Contents of a job's report, from its summary, its index and a few results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from api.jobs.lookup import FoundJob
from api.report import charts
from api.report.least_certain import Tile, find_least_certain
from api.report.mean_maps import MethodMaps, build_methods, read_explanations
from api.report.translations import LANGUAGE_TAGS, WORDS, Language
from api.results.views import Summary
from api.services.container import Services
from api.services.job_index import JobIndex
from guanwu.wire.jobs import Job
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.results import Label
from worker.contract.errors import ObjectNotFound
from worker.contract.objects import keys

MAX_OPTIONS_CHARS = 4000


@dataclass(frozen=True)
class Contents:
    """A report in one language, as its template reads it. `summary` and `explanations` are
    None of a job that ended without them."""

    lang: Language
    job: Job
    summary: Summary | None
    index: JobIndex
    tiles: Sequence[Tile]
    explanations: Explanations | None
    label_set: str | None
    made_at: dt.datetime

    @property
    def tag(self) -> str:
        return LANGUAGE_TAGS[self.lang]

    @property
    def software(self) -> str:
        return f"Guanwu {version('guanwu-server')}"

    def say(self, word: str) -> str:
        """A word of the report in its language; an unknown one as it is."""
        return WORDS[self.lang].get(word, word)

    def name(self, label: Label) -> str:
        return self.named(label.zh, label.en)

    def named(self, zh: str | None, en: str | None) -> str:
        first, second = (zh, en) if self.lang == "zh" else (en, zh)
        return first or second or "?"

    @cached_property
    def labels(self) -> list[charts.Bar]:
        counts: dict[str, int] = {}
        for (_, zh, en), count in self.index.labels().items():
            name = self.named(zh, en)
            counts[name] = counts.get(name, 0) + count
        return charts.build_bars(counts, others=self.say("others"))

    @cached_property
    def verdicts(self) -> list[charts.Bar]:
        counts = self.index.verdicts()
        counts_by_name = {self.say(verdict): count for verdict, count in counts.items()}
        kinds = {self.say(verdict): verdict for verdict in counts}
        return charts.build_bars(counts_by_name, others="", kinds=kinds)

    @cached_property
    def histograms(self) -> list[charts.ScoreHistogram]:
        scores: Mapping[str, list[int]] = self.summary.scores if self.summary else {}
        return [charts.build_histogram(model, counts) for model, counts in scores.items()]

    @cached_property
    def methods(self) -> list[MethodMaps]:
        return build_methods(self.explanations) if self.explanations else []

    @cached_property
    def options(self) -> str:
        text = self.job.options.model_dump_json(exclude_none=True)
        return text if len(text) <= MAX_OPTIONS_CHARS else text[:MAX_OPTIONS_CHARS] + " …"


def read_contents(services: Services, job: FoundJob, lang: Language) -> Contents:
    """Read what the report of a finished job says.

    Raises:
        ArtifactNotFound: the job ended without an index.
        StoreUnavailable
    """
    index = services.job_indexes.of(services.store, job.tenant, job.view)
    return Contents(
        lang=lang,
        job=job.view,
        summary=_read_summary(services, job),
        index=index,
        tiles=find_least_certain(services, job, index),
        explanations=read_explanations(services, job.tenant, job.id),
        label_set=_name_label_sets(services, job),
        made_at=dt.datetime.now(dt.UTC),
    )


def _read_summary(services: Services, job: FoundJob) -> Summary | None:
    try:
        body = services.store.get(keys.summary(job.tenant, job.id))
    except ObjectNotFound:
        return None
    return Summary.model_validate_json(body, extra="ignore")


def _name_label_sets(services: Services, job: FoundJob) -> str | None:
    """The label set that was asked for; else, as far as it is known now, that of the models."""
    options = job.view.options
    if options.label_set is not None or options.words is not None:
        return options.label_set
    catalog = services.catalog.current()
    models = catalog.models if catalog else ()
    used = [m for m in models if (m.id in options.models if options.models else m.default)]
    return ", ".join(sorted({m.label_set for m in used if m.label_set})) or None
