"""Images that an account submitted, and its allowances."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from guanwu.wire.base import Wire

Period = Literal["day", "month"]


class ImagesUsed(Wire):
    """Images of one day or month of UTC."""

    used: int
    limit: int | None = Field(description="null: any number")
    left: int | None = Field(description="that may still be submitted; null: any number")
    resets_at: dt.datetime = Field(description="then counting begins anew")


class Usage(Wire):
    """What the caller's account has submitted."""

    tenant: str
    key: str | None = Field(description="the API key; null: a static token")
    images: dict[Period, ImagesUsed]
