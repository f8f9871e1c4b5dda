"""Path parameters that views of several rooms share."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.openapi import parameters

ITEM_CALLS = ("feedback", "explain")
"""Calls on an item that are no reading of its files. A file may not have such a name."""


class ItemPath(BaseModel):
    job_id: str = Field(description="the job's id, `job_...`", json_schema_extra=parameters.JOB_ID)
    index: int = Field(
        description="the item's index in its job, from 0", json_schema_extra={"minimum": 0}
    )


class JobPath(BaseModel):
    job_id: str = Field(description="the job's id, `job_...`", json_schema_extra=parameters.JOB_ID)
