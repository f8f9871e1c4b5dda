"""Classify first, explain what qualifies: the order in which models see a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from guanwu.wire.results import Label
from worker.contract.errors import GuanwuError
from worker.vision.analysis import Prepared
from worker.vision.engine.batch import Finding
from worker.vision.engine.explain_policy import Policy
from worker.vision.engine.map_selection import Ask

Outcome = Finding | GuanwuError
Outcomes = dict[str, Outcome]
"""Of one picture, by the ids of the models that saw it."""

Run = Callable[[str, Sequence[Prepared], Sequence[Ask]], Sequence[Outcome]]
"""One model over pictures, making the maps asked for: one outcome per picture, in order."""


def outcomes(
    batch: Sequence[Prepared],
    asks: Mapping[str, Sequence[Ask]],
    *,
    labelling: Sequence[str],
    policy: Policy,
    run: Run,
) -> list[Outcomes]:
    """What the models found in each picture.

    Where every picture is explained, each model sees it once. Else the `labelling` models
    classify all, and only pictures that qualify go to the models that make maps: the others
    never wait for a gradient, and a model that gives no labels never sees them.
    """
    found: list[Outcomes] = [{} for _ in batch]
    everyone = range(len(batch))
    if policy.when.always or not any(asks.values()):
        for name, of_model in asks.items():
            _see(name, everyone, of_model, batch, found, run)
        return found
    for name in labelling:
        _see(name, everyone, (), batch, found, run)
    chosen = [n for n in everyone if _qualifies(found[n], batch[n], policy)]
    for name, of_model in asks.items():
        if of_model and chosen:
            _see(name, chosen, of_model, batch, found, run)
    return found


def _see(
    name: str,
    members: Sequence[int],
    asks: Sequence[Ask],
    batch: Sequence[Prepared],
    found: Sequence[Outcomes],
    run: Run,
) -> None:
    for n, outcome in zip(members, run(name, [batch[n] for n in members], asks), strict=True):
        before = found[n].get(name)
        if isinstance(before, Finding) and isinstance(outcome, Finding):
            outcome = outcome.after(before)
        found[n][name] = outcome


def _qualifies(found: Outcomes, prepared: Prepared, policy: Policy) -> bool:
    labels: list[Label] = []
    for outcome in found.values():
        if isinstance(outcome, GuanwuError):
            return False
        labels += outcome.labels
    return policy.explains(labels, prepared.sha256)
