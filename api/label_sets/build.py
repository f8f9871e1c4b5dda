"""Make a version of a client's label set.

One of words is ready at once. One of examples is built by a job, whose end writes the version.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence

from api.http import body_limits
from api.label_sets.requests import LabelSetRequest
from api.services.container import Services
from api.submissions import accept, json_body
from api.submissions.submission import Submission, SubmittedImage
from guanwu.wire.base import new_id
from guanwu.wire.label_sets import ClientSet, Example, SetLabel
from guanwu.wire.options import Options
from worker.contract.errors import GuanwuError, LabelSetUnfit, UnknownModel
from worker.contract.records.quota import Allowance


def make_version(
    services: Services,
    request: LabelSetRequest,
    *,
    tenant: str,
    set_id: str,
    key: str | None,
    allowances: Sequence[Allowance],
    renew: Callable[[], None] | None = None,
) -> ClientSet:
    """The first version of a label set; ready, or with a job that builds it.

    `renew` as `accept.accept` calls it.

    Raises:
        UnknownModel, LabelSetUnfit: no worker has the model, or it takes no examples.
        TooManyImages, InputForbidden, UrlNotAllowed: examples that cannot be taken.
        QueueFull, QuotaExceeded, StoreUnavailable, RedisUnavailable: nothing was made.
    """
    labels = tuple(_to_label(*label.names, label.examples) for label in request.labels)
    version = ClientSet(
        id=set_id,
        version=1,
        name=request.name,
        status="building" if request.model else "ready",
        model=request.model,
        labels=labels,
        key=key,
        created_at=dt.datetime.now(dt.UTC),
    )
    if request.model is None:
        version = version.model_copy(update={"ended_at": version.created_at})
        services.client_sets.put(tenant, version)
        return version
    pictures = _to_images(services, request, tenant)
    owners = [n for n, label in enumerate(request.labels) for _ in label.examples or ()]
    examples = [
        Example(label=owner, custom_id=picture.custom_id, filename=picture.filename)
        for owner, picture in zip(owners, pictures, strict=True)
    ]
    return build(
        services, version, pictures, examples, tenant=tenant, allowances=allowances, renew=renew
    )


def build(
    services: Services,
    version: ClientSet,
    pictures: Sequence[SubmittedImage],
    examples: Sequence[Example],
    *,
    tenant: str,
    allowances: Sequence[Allowance],
    renew: Callable[[], None] | None = None,
) -> ClientSet:
    """Record a version as being built, and submit the job that does it. Raises as
    `make_version`."""
    assert version.model is not None
    _check_offered(services, version.model)
    version = version.model_copy(update={"job": new_id("job")})
    options = Options(
        models=[version.model],
        label_set=version.ref,
        explain=[],
        artifacts=["labels"],
        faithfulness=False,
        cache=False,
    )
    job = Submission(pictures, options, {"label_set": version.ref}, builds=True)
    services.client_sets.put_examples(tenant, version, examples)
    services.client_sets.put(tenant, version)
    try:
        accept.accept(
            services, job, tenant=tenant, allowances=allowances, job=version.job, renew=renew
        )
    except Exception:
        with contextlib.suppress(GuanwuError):
            _take_back(services, tenant, version)
        raise
    return version


def _take_back(services: Services, tenant: str, version: ClientSet) -> None:
    """Erase a version that never came to be; not what a later request has made in its place."""
    if services.client_sets.find(tenant, version.ref, hidden=True).job == version.job:
        services.client_sets.erase(tenant, version)


def _to_label(zh: str, en: str, examples: Sequence[object] | None) -> SetLabel:
    return SetLabel(zh=zh, en=en, examples=None if examples is None else len(examples))


def _to_images(
    services: Services, request: LabelSetRequest, tenant: str
) -> Sequence[SubmittedImage]:
    sources = {
        f"labels.{n}.examples.{m}": source
        for n, label in enumerate(request.labels)
        for m, source in enumerate(label.examples or ())
    }
    body_limits.check_image_count(len(sources), services.settings)
    return json_body.to_images([*sources.values()], [*sources], services.settings, tenant)


def _check_offered(services: Services, model: str) -> None:
    catalog = services.catalog.current()
    if catalog is None:
        return
    entry = next((entry for entry in catalog.models if entry.id == model), None)
    names = (
        ", ".join(sorted(entry.id for entry in catalog.models if entry.takes_examples)) or "none"
    )
    if entry is None:
        raise UnknownModel(f"model {model!r} is not offered; there is {names}", field="model")
    if not entry.takes_examples:
        raise LabelSetUnfit(
            f"{model} scores texts alone; of those that take examples there is {names}",
            field="model",
        )
