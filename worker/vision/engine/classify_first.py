"""Two-stage analysis: classify all pictures, then explain those that qualify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from guanwu.wire.results import Label
from worker.contract.errors import GuanwuError
from worker.vision.analysis import Prepared
from worker.vision.engine.batch import ModelOutput
from worker.vision.engine.explain_policy import ExplainPolicy
from worker.vision.engine.map_selection import MapRequest

ModelOutcome = ModelOutput | GuanwuError
Outcomes = dict[str, ModelOutcome]
"""Of one picture, by the ids of the models that saw it."""

Run = Callable[[str, Sequence[Prepared], Sequence[MapRequest]], Sequence[ModelOutcome]]
"""One model over pictures, making the maps asked for: one outcome per picture, in order."""


def run_two_stages(
    batch: Sequence[Prepared],
    requests: Mapping[str, Sequence[MapRequest]],
    *,
    labelling: Sequence[str],
    policy: ExplainPolicy,
    run: Run,
) -> list[Outcomes]:
    """Run the models over a batch; the outcomes of each picture, by model.

    Where every picture is explained, each model sees it once. Else the `labelling` models
    classify all, and only pictures that qualify go to the models that make maps: the others
    never wait for a gradient, and a model that gives no labels never sees them.
    """
    outcomes: list[Outcomes] = [{} for _ in batch]
    everyone = range(len(batch))
    if policy.when.always or not any(requests.values()):
        for name, of_model in requests.items():
            _run_model(name, everyone, of_model, batch, outcomes, run)
        return outcomes
    for name in labelling:
        _run_model(name, everyone, (), batch, outcomes, run)
    qualified = [n for n in everyone if _qualifies(outcomes[n], batch[n], policy)]
    for name, of_model in requests.items():
        if of_model and qualified:
            _run_model(name, qualified, of_model, batch, outcomes, run)
    return outcomes


def _run_model(
    name: str,
    members: Sequence[int],
    requests: Sequence[MapRequest],
    batch: Sequence[Prepared],
    outcomes: Sequence[Outcomes],
    run: Run,
) -> None:
    for n, outcome in zip(members, run(name, [batch[n] for n in members], requests), strict=True):
        before = outcomes[n].get(name)
        if isinstance(before, ModelOutput) and isinstance(outcome, ModelOutput):
            outcome = outcome.after(before)
        outcomes[n][name] = outcome


def _qualifies(outcomes: Outcomes, prepared: Prepared, policy: ExplainPolicy) -> bool:
    labels: list[Label] = []
    for outcome in outcomes.values():
        if isinstance(outcome, GuanwuError):
            return False
        labels += outcome.labels
    return policy.explains(labels, prepared.sha256)
