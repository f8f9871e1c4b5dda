"""Schemathesis as a program of its own, and what its report says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from deploy.stack import Stack
from tests.conformance.scene import (
    PICTURES,
    PROPOSAL,
    ROOT,
    finished_job,
    kept_label_sets,
    standing_webhooks,
)

# Half of the generated ids are of a job that is done: the other half is mostly unknown.
CONFIG = """\
continue-on-failure = true
max-stream-events = 1
request-timeout = 30.0
generation.database = ":memory:"
generation.with-security-parameters = false
hooks = "tests.conformance.hooks"

[auth.openapi.bearer]
bearer = "${{CONFORMANCE_TOKEN}}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "302", "404", "409", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["4xx"]

[dictionaries.jobs]
values = ["{job}"]

[dictionaries.objects]
values = ["s3://bucket/pets/1.jpg", "s3://bucket/missing.png"]

[dictionaries.indices]
values = {indices}

[parameters."path.job_id"]
dictionary = "jobs"
probability = 0.5

[parameters."body.images[*].s3"]
dictionary = "objects"
probability = 0.9

[dictionaries.label_sets]
values = ["numbers"]

[parameters."query.label_set"]
dictionary = "label_sets"
probability = 0.5

[dictionaries.own_sets]
values = {own_sets}

[parameters."path.set_id"]
dictionary = "own_sets"
probability = 0.5

[dictionaries.proposals]
values = ["{proposal}"]

[parameters."path.proposal_id"]
dictionary = "proposals"
probability = 0.7

[dictionaries.webhooks]
values = {webhooks}

[parameters."path.webhook_id"]
dictionary = "webhooks"
probability = 0.5

[parameters."path.index"]
dictionary = "indices"
probability = 0.5
"""


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # others are only tried
# A call with a thousand cases of its own, in the phase that tries every limit of every field.
SHORT = """
[[operations]]
include-operation-id = "submit_job"
phases.coverage.enabled = false
"""


@dataclass(frozen=True)
class Findings:
    """What a run found.

    Attributes:
        answers: of each call, as `GET /v1/jobs`, how many answers had each status.
        failed: what Schemathesis has to say, if a check failed.
    """

    answers: dict[str, Counter[int]]
    failed: str | None

    @property
    def cases(self) -> int:
        """Generated requests that were answered."""
        return sum(counter.total() for counter in self.answers.values())


def ask(stack: Stack, folder: Path, *, examples: int, seed: int, short: bool = False) -> Findings:
    """Generate so many cases a call, and more by coverage and links, and check the answers."""
    config, report = folder / "schemathesis.toml", folder / "report.ndjson"
    job = finished_job(stack)
    text = CONFIG.format(
        job=job,
        indices=list(range(PICTURES)),
        proposal=PROPOSAL,
        own_sets=json.dumps(kept_label_sets(stack, job)),
        webhooks=json.dumps(standing_webhooks(stack)),
    )
    config.write_text(text + SHORT if short else text)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{stack.url}/openapi.json", "--checks=all", "--no-color"),
        *(f"--max-examples={examples}", f"--seed={seed}"),
        f"--report-ndjson-path={report}",
    ]
    done = subprocess.run(
        command,
        env={
            **stack.environment,
            "CONFORMANCE_TOKEN": stack.token,
            "PYTHONPATH": f"{ROOT}:{ROOT}/api/client",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = None if done.returncode == 0 else done.stdout + done.stderr
    return Findings(answers_of(report) if report.exists() else {}, failed)


def answers_of(report: Path) -> dict[str, Counter[int]]:
    """Of each call, the statuses of all answers that a report tells of."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for name, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][name]["value"]
            if interaction["response"] and case["method"] in METHODS:
                call = f"{case['method']} {case['path']}"
                found[call][interaction["response"]["status_code"]] += 1
    return found
