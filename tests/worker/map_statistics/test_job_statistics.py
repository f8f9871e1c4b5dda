"""The account of a job's maps: shortcuts are flagged, habits of photographers are not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from guanwu.wire.map_statistics import ExplanationSummary
from tests.worker.map_statistics.maps import Cells, anywhere, blobs, densities, middling, results
from worker.contract.coarse_maps import SIDE
from worker.map_statistics import method_statistics
from worker.map_statistics.job_statistics import JobMapStatistics
from worker.results.coarse_maps import no_densities

CORNER = np.array([[1.2, 11.8]])


def account(cells: Cells, labels: list[str]) -> JobMapStatistics:
    made = JobMapStatistics()
    for begin in range(0, len(cells), 64):
        part = slice(begin, begin + 64)
        made.add(results(labels[part]), densities(cells[part]))
    return made


def summary(cells: Cells, labels: list[str]) -> ExplanationSummary:
    return account(cells, labels).summary()


def test_a_logo_in_a_corner_of_one_label_is_flagged_with_its_place() -> None:
    cells = np.concatenate([blobs(np.repeat(CORNER, 100, 0)), middling(300)])
    found = summary(cells, ["cat"] * 100 + ["dog"] * 300)
    place = next(flag for flag in found.flags if flag.spot == "place")
    assert place.label == "cat"
    assert place.box is not None
    x0, y0, x1, y1 = place.box
    assert x0 <= 12.3 / SIDE <= x1
    assert y0 <= 1.7 / SIDE <= y1
    assert (place.pictures, place.share) == (100, 1.0)
    assert {flag.label for flag in found.flags} == {"cat"}


@pytest.mark.parametrize("pictures", [40, 400, 4000])
@pytest.mark.parametrize("lie", [anywhere, middling])
def test_heat_anywhere_or_in_the_middle_is_no_flag(pictures: int, lie: object) -> None:
    cells = lie(pictures, seed=11)  # type: ignore[operator]
    assert summary(cells, ["cat", "dog"] * (pictures // 2)).flags == []


def test_the_same_place_in_the_middle_of_all_pictures_is_no_flag() -> None:
    found = summary(blobs(np.full((200, 2), 6.5)), ["cat"] * 200)
    assert found.flags == []


def test_heat_along_the_border_is_flagged() -> None:
    ring = np.full((SIDE, SIDE), 0.001)
    ring[0] = ring[-1] = ring[:, 0] = ring[:, -1] = 1.0
    noise = np.random.default_rng(3).uniform(0.5, 1.5, (60, SIDE, SIDE))
    heat = ring * noise
    cells = (heat / heat.sum((1, 2), keepdims=True)).astype(np.float32)
    assert "border" in {flag.spot for flag in summary(cells, ["cat"] * 60).flags}


def test_few_pictures_are_no_flag() -> None:
    assert summary(blobs(np.repeat(CORNER, 15, 0)), ["cat"] * 15).flags == []
    assert summary(blobs(np.repeat(CORNER, 25, 0)), ["cat"] * 25).flags != []


def test_a_place_off_the_middle_in_every_third_picture_is_flagged_only_of_many() -> None:
    def mixed(n: int) -> Cells:
        return np.concatenate([blobs(np.repeat(CORNER, n, 0)), middling(2 * n)])

    assert summary(mixed(20), ["cat"] * 60).flags == []
    assert summary(mixed(500), ["cat"] * 1500).flags != []


def test_the_mean_density_is_that_of_all_maps_and_of_each_label() -> None:
    cells = np.concatenate([blobs(np.repeat(CORNER, 30, 0)), middling(60)])
    made = account(cells, ["cat"] * 30 + ["dog"] * 60)
    whole = made.explanations("job", made.summary())
    of_method = whole.densities[0]
    assert np.array(of_method.overall.density) == pytest.approx(cells.mean(0), abs=1e-4)
    assert [(one.label, one.label_en, one.pictures) for one in of_method.labels] == [
        ("dog", "the dog", 60),
        ("cat", "the cat", 30),
    ]
    assert np.array(of_method.labels[1].density) == pytest.approx(cells[:30].mean(0), abs=1e-4)


def test_verdicts_and_diagnostics_are_counted_without_any_density() -> None:
    made = JobMapStatistics()
    made.add(results(["cat"] * 3, methods=["cam", "lrp"]), no_densities())
    cam, lrp = made.summary().maps
    assert (cam.verdicts, lrp.verdicts) == ({"faithful": 3}, {"unjudged": 3})
    assert cam.diagnostics["entropy"].p50 == pytest.approx(0.5, abs=0.003)
    assert cam.border is None
    assert made.summary().agreement == []


def test_methods_that_agree_are_told_from_those_that_do_not() -> None:
    cells = anywhere(40)
    same = np.repeat(cells, 2, axis=0)
    other = np.stack([cells, anywhere(40, seed=9)], 1).reshape(80, SIDE, SIDE)
    medians = []
    for both in (same, other):
        made = JobMapStatistics()
        made.add(results(["cat"] * 40, methods=["cam", "lrp"]), densities(both, methods=2))
        (found,) = made.summary().agreement
        assert (found.method, found.other_method, found.pictures) == ("cam", "lrp", 40)
        medians.append(found.median)
    assert medians[0] > 0.99
    assert abs(medians[1]) < 0.5


def test_labels_beyond_count_leave_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_statistics, "MOST_LABELS", 20)
    labels = [name for n in range(200) for name in ("cat", f"rare {n}")]
    made = account(anywhere(400), labels)
    first = made.explanations("job", made.summary()).densities[0].labels[0]
    assert (first.label, first.pictures) == ("cat", 200)


def test_closing_loads_no_model_and_no_codec() -> None:
    code = (
        "import sys, worker.coordination.closing; "
        "print([m for m in ('torch', 'cv2', 'PIL', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
