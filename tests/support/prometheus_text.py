"""What a `/metrics` says, read by the library's own parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Series:
    name: str
    labels: Mapping[str, str]
    value: float


class Exposition:
    """All series of one or more addresses."""

    def __init__(self, *addresses: str) -> None:
        self._series = [
            Series(sample.name, sample.labels, sample.value)
            for address in addresses
            for family in text_string_to_metric_families(httpx.get(address).raise_for_status().text)
            for sample in family.samples
        ]

    @property
    def names(self) -> set[str]:
        return {series.name for series in self._series}

    def of_all(self) -> list[Series]:
        return list(self._series)

    def of(self, name: str, **labels: str) -> list[Series]:
        return [s for s in self._series if s.name == name and labels.items() <= s.labels.items()]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of that name that have these labels; there is one at least."""
        found = self.of(name, **labels)
        assert found, f"there is no {name} with {labels}"
        return sum(series.value for series in found)

    def labels_of(self, name: str, label: str) -> set[str]:
        return {series.labels[label] for series in self.of(name)}

    def has_label(self, name: str, label: str) -> bool:
        return any(label in series.labels for series in self.of(name))
