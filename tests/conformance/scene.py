"""The stack that is asked, with a job that is done, so that questions about one reach it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.stack import Stack
from guanwu import Client
from guanwu.wire.base import new_id
from guanwu.wire.label_sets import ClientSet, Proposal, ProposedExample, SetLabel
from tests.sleeping.pictures import picture
from tests.sleeping.stack import SleepingStack
from tests.support.stack import running_stack
from worker.contract.objects import keys

ROOT = Path(__file__).parents[2]
BUCKET = "bucket"  # that the document's examples name, as their objects do
OBJECT = "pets/1.jpg"
SETTINGS = {
    "GUANWU_S3_INPUT_BUCKETS": BUCKET,
    "GUANWU_DRAIN_S": "5",
    "GUANWU_RATE_READ_PER_MIN": "1000000",
    "GUANWU_RATE_SUBMIT_PER_MIN": "1000000",
    "GUANWU_RATE_UPLOAD_PER_MIN": "1000000",
}
PICTURES = 4
RECEIVER = "https://shop.example.com/hooks"
WEBHOOKS = 15
LABEL_SETS = 15
TENANT, MODEL = "local", "sleeping"
PROPOSAL = "lsp_01ARZ3NDEKTSV4RRFFQ69G5FAV"
READY_S = 120.0


@contextmanager
def working_stack() -> Iterator[Stack]:
    """A stack whose worker's model takes a millisecond."""
    with running_stack(kind=SleepingStack, settings=SETTINGS) as stack:
        put_example(stack)
        yield stack


def put_example(stack: Stack) -> None:
    """What the examples of the document name is there."""
    client = stack.seaweed.client()
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=OBJECT, Body=picture(1))
    client.close()


def finished_job(stack: Stack) -> str:
    """A job of a few pictures with all their artefacts, and of a file that is none; its id."""
    artifacts = ["labels", "overlay", "map", "figure", "thumbnail"]
    pictures = [(f"{n}.png", picture(n)) for n in range(PICTURES)]
    with Client(stack.url, stack.token) as client:
        handle = client.submit(
            [*pictures, ("none.png", b"no picture")], options={"artifacts": artifacts}
        )
        handle.wait(timeout_s=READY_S)
    return handle.id


def standing_webhooks(stack: Stack) -> list[str]:
    """Ids of webhooks; so many that some are left when others have been deleted."""
    with Client(stack.url, stack.token) as client:
        return [client.webhooks.create(RECEIVER).id for _ in range(WEBHOOKS)]


def kept_label_sets(stack: Stack, job: str) -> list[str]:
    """Ids of label sets of examples, each with the proposal `PROPOSAL`; so many that some are left
    when others have been deleted. As a worker would leave them: this one sees no pictures."""
    with Client(stack.url, stack.token) as door:
        said = door.feedback.mark(job, 0, kind="wrong_label", correct="铁观音", free=True)
    client = stack.seaweed.client()
    ids = [new_id("lbs") for _ in range(LABEL_SETS)]
    for set_id in ids:
        made = ClientSet(
            id=set_id,
            version=1,
            status="ready",
            model=MODEL,
            labels=(SetLabel(zh="龙井", en="longjing"), SetLabel(zh="铁观音", en="tieguanyin")),
            created_at=dt.datetime.now(dt.UTC),
        )
        example = ProposedExample(
            feedback=said.id, label=1, zh="铁观音", source=f"s3://{BUCKET}/{OBJECT}"
        )
        proposal = Proposal(
            id=PROPOSAL,
            label_set=set_id,
            base=1,
            added={example.zh: 1},
            examples=(example,),
            skipped={},
            created_at=made.created_at,
        )
        for key, kept in (
            (keys.client_set_version(TENANT, set_id, 1), made),
            (keys.client_set_proposal(TENANT, set_id, PROPOSAL), proposal),
        ):
            body = kept.model_dump_json().encode()
            client.put_object(Bucket=stack.settings.s3_bucket, Key=key, Body=body)
    client.close()
    return ids
