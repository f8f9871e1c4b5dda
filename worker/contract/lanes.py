"""Queues, lanes and pseudo-chunks."""

from __future__ import annotations

from typing import Literal

from guanwu.wire.base import Lane

LANES: tuple[Lane, ...] = ("hi", "bulk")
QueueName = Literal["coordinator", "hi", "bulk"]
COORDINATOR: QueueName = "coordinator"  # planning and closing: work on jobs, not on images
QUEUES: tuple[QueueName, ...] = (COORDINATOR, *LANES)
FINAL = "final"  # the pseudo-chunk that writes a job's final record
PLAN = "plan"  # the pseudo-chunk that turns a job's source into manifest shards
ENDED_S = 60
WINDOW_CHUNKS = 64  # of one job, ready or claimed at a time
