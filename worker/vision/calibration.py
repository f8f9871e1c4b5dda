"""What was measured of a model before its verdicts mean something: thresholds of faithfulness.

A deployment's own calibrations live in `calibration.json` beside the cached weights (the
folder `GUANWU_MODEL_DIR`, or `guanwu/models` of the user's cache), by the hash of the weights
they were fitted to. The models that come from the package index have theirs here.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.contract.errors import SettingsInvalid
from worker.vision.faithfulness import Thresholds
from worker.vision.models.cache import cache_dir

FILE = "calibration.json"

BUILT_IN: Mapping[str, Thresholds] = {
    # efficientnet-lite0, fitted to 160 photos of ImageNet's classes; see docs/faithfulness.md
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": Thresholds(
        faithful=0.392, random=0.213
    ),
}
"""By SHA-256 of the weights."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Thresholds of one model and what they were fitted to.

    Attributes:
        pictures: how many there were.
        noise_mean: mean score of maps of noise.
        centre_mean: mean score of a blob in the middle.
    """

    thresholds: Thresholds
    pictures: int
    noise_mean: float
    centre_mean: float


class Calibrations:
    """All calibrations of a deployment; those of the file before the built-in ones.

    Raises:
        SettingsInvalid: the file is not one of calibrations.
    """

    def __init__(self, model_dir: str | os.PathLike[str] | None = None):
        self.path = cache_dir(model_dir) / FILE
        self._own = _read(self.path)

    def thresholds(self, weights_sha256: str) -> Thresholds | None:
        """Those of a model; None if it was never calibrated."""
        return self._own.get(weights_sha256) or BUILT_IN.get(weights_sha256)

    def keep(self, weights_sha256: str, *, model: str, calibration: Calibration) -> None:
        """Write a model's calibration to the file, in place of its last one."""
        entry = {"model": model, **asdict(calibration)}
        entries = {**_entries(self.path), weights_sha256: entry}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=self.path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            json.dump(entries, part, indent=1)
        os.replace(part.name, self.path)
        self._own = _read(self.path)


def _read(path: Path) -> dict[str, Thresholds]:
    try:
        return {
            sha256: Thresholds(**entry["thresholds"]) for sha256, entry in _entries(path).items()
        }
    except (TypeError, KeyError, AttributeError) as exc:
        raise _spoilt(path, str(exc)) from exc


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """The file as it is; empty if there is none.

    Raises:
        SettingsInvalid: it is not a calibration file.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise _spoilt(path, str(exc)) from exc
    if not isinstance(entries, dict):
        raise _spoilt(path, "no object")
    return entries


def _spoilt(path: Path, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        f"{path} is not a file of calibrations ({why}); remove it and run "
        "`python -m worker models calibrate` again"
    )
