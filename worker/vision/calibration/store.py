"""Calibrations of models: thresholds of faithfulness, and a temperature for each label set.

A deployment's own calibrations live in `calibration.json` beside the cached weights (the
folder `GUANWU_MODEL_DIR`, or `guanwu/models` of the user's cache), by the hash of the weights
they were fitted to. The models that come from the package index have theirs here.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from worker.contract.errors import SettingsInvalid
from worker.contract.label_set import LabelSet
from worker.vision.heatmaps.faithfulness import Thresholds
from worker.vision.models.weights.cache import cache_dir
from worker.vision.scoring.temperature import Fitted

FILE = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Known:
    """Of one model.

    Attributes:
        thresholds: of faithfulness, or None.
        temperatures: by the digest of the label set.
    """

    thresholds: Thresholds | None = None
    temperatures: Mapping[str, float] = field(default_factory=dict)


NOTHING = Known()

BUILT_IN: Mapping[str, Known] = {
    # efficientnet-lite0, fitted to 160 photos of ImageNet's classes: docs/faithfulness.md,
    # docs/scores.md
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db": Known(
        thresholds=Thresholds(faithful=0.392, random=0.213),
        temperatures={"3e00a8a8570f6533": 0.651},  # of imagenet1k
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
        """Those of a model; None if they were never fitted."""
        own, built_in = self._of(weights_sha256)
        return own.thresholds or built_in.thresholds

    def temperature(self, weights_sha256: str, labels: LabelSet) -> float | None:
        """That of a model's scores over a label set; None if it was never fitted."""
        own, built_in = self._of(weights_sha256)
        return own.temperatures.get(labels.digest) or built_in.temperatures.get(labels.digest)

    def keep(self, weights_sha256: str, *, model: str, calibration: Calibration) -> None:
        """Write a model's thresholds to the file, in place of its last ones."""
        self._write(weights_sha256, {"model": model, **asdict(calibration)})

    def keep_temperature(
        self, weights_sha256: str, *, model: str, labels: LabelSet, fitted: Fitted
    ) -> None:
        """Write a model's temperature for a label set to the file, in place of its last one."""
        temperatures = _entries(self.path).get(weights_sha256, {}).get("temperatures", {})
        temperatures[labels.digest] = {"label_set": labels.id, **asdict(fitted)}
        self._write(weights_sha256, {"model": model, "temperatures": temperatures})

    def _of(self, weights_sha256: str) -> tuple[Known, Known]:
        return self._own.get(weights_sha256, NOTHING), BUILT_IN.get(weights_sha256, NOTHING)

    def _write(self, weights_sha256: str, said: Mapping[str, Any]) -> None:
        entries = _entries(self.path)
        entries[weights_sha256] = {**entries.get(weights_sha256, {}), **said}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=self.path.parent, suffix=".part", delete=False, encoding="utf-8"
        ) as part:
            json.dump(entries, part, indent=1)
        os.replace(part.name, self.path)
        self._own = _read(self.path)


def _read(path: Path) -> dict[str, Known]:
    try:
        return {sha256: _known(entry) for sha256, entry in _entries(path).items()}
    except (TypeError, KeyError, AttributeError) as exc:
        raise _spoilt(path, str(exc)) from exc


def _known(entry: Mapping[str, Any]) -> Known:
    thresholds = entry.get("thresholds")
    temperatures = entry.get("temperatures", {})
    return Known(
        thresholds=None if thresholds is None else Thresholds(**thresholds),
        temperatures={digest: of["temperature"] for digest, of in temperatures.items()},
    )


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
        "`guanwu models calibrate` again"
    )
