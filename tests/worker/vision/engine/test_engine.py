from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from guanwu.wire.options import Options
from worker.contract.errors import (
    CheckpointInvalid,
    ExplanationUnavailable,
    GuanwuError,
    InvalidOptions,
    ModelError,
    OutOfMemory,
    UnknownModel,
)
from worker.contract.option_checks import check_options
from worker.vision.analysis import Analysis
from worker.vision.engine.engine import Engine
from worker.vision.heatmaps import diagnostics
from worker.vision.images.decoding import Picture, decode

LITE0, DINO = "efficientnet-lite0", "dinov2-small"


@pytest.fixture(scope="module")
def caltech_source(shared_data: Path) -> str:
    return f"path:{shared_data / 'models' / 'vit-s14-caltech101'}"


@pytest.fixture(scope="module")
def engine(caltech_source: str) -> Engine:
    engine = Engine(device="cpu", max_batch=4, extra_models={"caltech": caltech_source})
    engine.load()
    return engine


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Picture]:
    paths = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:6]
    return [decode(p.read_bytes(), max_bytes=2**24, max_pixels=2**24) for p in paths]


def picture(rgb: np.ndarray) -> Picture:
    height, width = rgb.shape[:2]
    sha256 = hashlib.sha256(rgb.tobytes()).hexdigest()
    return Picture(
        rgb=rgb, sha256=sha256, format="PNG", width=width, height=height, bytes=rgb.nbytes
    )


BLACK = picture(np.zeros((299, 299, 3), np.uint8))


def options(**given: Any) -> Options:
    return Options.model_validate(given)


def attempt(
    engine: Engine, pictures: list[Picture], chosen: Options
) -> list[Analysis | GuanwuError]:
    return engine.analyze([engine.prepare(p, chosen) for p in pictures], chosen)


def analyze(engine: Engine, pictures: list[Picture], chosen: Options) -> list[Analysis]:
    results = attempt(engine, pictures, chosen)
    for result in results:
        if isinstance(result, GuanwuError):
            raise result
    return results  # type: ignore[return-value]


@contextmanager
def before_forward(engine: Engine, model: str, act: Any) -> Iterator[None]:
    """Call `act(batch tensor)` at the narrowest edge: when the network's first layer gets it."""
    network = engine._pool.get(model).network  # type: ignore[attr-defined]
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    entry = "clipped" if hasattr(first, "clipped") else "forward"
    whole = getattr(first, entry)

    def acted(batch: torch.Tensor) -> Any:
        instead = act(batch)
        return whole(batch if instead is None else instead)

    setattr(first, entry, acted)
    try:
        yield
    finally:
        delattr(first, entry)


def test_a_job_without_wishes_gets_labels_with_their_map_and_a_label_free_map(
    engine: Engine, photos: list[Picture]
) -> None:
    for analysis in analyze(engine, photos, options()):
        assert [label.rank for label in analysis.labels] == [1, 2, 3, 4, 5]
        assert {label.model for label in analysis.labels} == {LITE0}
        scores = [label.score for label in analysis.labels]
        assert scores == sorted(scores, reverse=True)
        why, where = analysis.explanations
        best = analysis.labels[0]
        assert (why.model, why.method) == (LITE0, "cam")
        assert why.target == {"label": best.zh, "id": best.id}
        assert why.slug == str(best.id)
        assert why.heatmap.signed
        assert (where.model, where.method, where.target, where.slug) == (
            DINO,
            "attention",
            None,
            "free",
        )
        assert not where.heatmap.signed
        assert [m.id for m in analysis.models] == [LITE0, DINO]


def test_an_answer_does_not_depend_on_its_neighbours(engine: Engine, photos: list[Picture]) -> None:
    together = analyze(engine, photos, options())
    for photo, among in zip(photos, together, strict=True):
        (alone,) = analyze(engine, [photo], options())
        assert [label.id for label in alone.labels] == [label.id for label in among.labels]
        for a, b in zip(alone.explanations, among.explanations, strict=True):
            scale = np.abs(a.heatmap.grid).max()
            np.testing.assert_allclose(a.heatmap.grid, b.heatmap.grid, atol=1e-4 * scale)


def test_the_same_batch_gives_the_same_bits(engine: Engine, photos: list[Picture]) -> None:
    first, second = (analyze(engine, photos, options()) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.labels == b.labels
        for x, y in zip(a.explanations, b.explanations, strict=True):
            assert np.array_equal(x.heatmap.grid, y.heatmap.grid)


def test_pictures_of_any_shape_share_a_call_and_come_back_in_order(
    engine: Engine, photos: list[Picture]
) -> None:
    rgb = photos[0].rgb
    shaped = [picture(rgb), picture(rgb[:150]), picture(rgb[:, :100]), BLACK, picture(rgb[:1, :1])]
    mixed = analyze(engine, [*shaped, *photos], options())
    for given, analysis in zip([*shaped, *photos], mixed, strict=True):
        for made in analysis.explanations:
            assert (made.heatmap.width, made.heatmap.height) == (given.width, given.height)
    alone = analyze(engine, photos, options())
    assert [a.labels[0].id for a in mixed[5:]] == [a.labels[0].id for a in alone]


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_heat_lies_on_the_object_in_pictures_of_any_aspect(
    engine: Engine, photos: list[Picture], tall: bool, second: bool
) -> None:
    shares = []
    for photo in photos:
        grey = np.full_like(photo.rgb, 127)
        halves = [grey, photo.rgb] if second else [photo.rgb, grey]
        pair = picture(np.concatenate(halves, axis=0 if tall else 1))
        (analysis,) = analyze(engine, [pair], options())
        for made in analysis.explanations:
            heat = made.heatmap.over_picture(pair.width, pair.height).clip(min=0)
            first_half, second_half = np.array_split(heat, 2, axis=0 if tall else 1)
            shares.append((second_half if second else first_half).sum() / heat.sum())
    assert np.median(shares) > 0.75


def test_a_label_can_be_asked_for_by_its_chinese_name(
    engine: Engine, photos: list[Picture]
) -> None:
    asked = options(explain=[{"target": {"label": "虎斑猫"}}, {"target": "top2"}])
    (analysis,) = analyze(engine, photos[:1], asked)
    named, second = analysis.explanations
    assert named.target == {"label": "虎斑猫", "id": 281}
    assert named.slug == "281"
    assert second.target is not None
    assert second.target["id"] == analysis.labels[1].id


def test_a_label_asked_for_twice_under_two_names_gets_one_map(
    engine: Engine, photos: list[Picture]
) -> None:
    (analysis,) = analyze(engine, photos[:1], options(artifacts=["labels", "map"]))
    best = analysis.labels[0].id
    for entries in ([{}, {"target": {"label": best}}], [{"target": {"label": best}}, {}]):
        (analysis,) = analyze(engine, photos[:1], options(explain=entries))
        assert [made.slug for made in analysis.explanations] == [str(best), "free"]
        assert analysis.explanations[0].faithfulness is not None


def test_why_this_label_and_not_that_names_both(engine: Engine, photos: list[Picture]) -> None:
    engine.load(["caltech"])  # only a loaded checkpoint tells its labels
    entry = {"method": "relevance", "target": {"label": "airplanes", "against": 5}}
    mirrored = {"method": "relevance", "target": {"label": "pizza", "against": "airplanes"}}
    forth = {"method": "relevance", "target": {"label": "airplanes", "against": "pizza"}}
    with pytest.raises(InvalidOptions, match="itself"):
        engine.prepare(photos[0], options(models=["caltech"], explain=[entry]))
    chosen = options(models=["caltech"], explain=[forth, mirrored], faithfulness=False)
    (analysis,) = analyze(engine, photos[:1], chosen)
    this, that = analysis.explanations
    assert this.target is not None
    assert that.target is not None
    assert this.slug == f"5-vs-{that.target['id']}"
    assert this.target["against_id"] == that.target["id"]
    assert this.target["against"] == that.target["label"]
    assert np.allclose(this.heatmap.grid, -that.heatmap.grid, atol=1e-3)


def test_every_head_of_a_layer_is_a_map_of_its_own(engine: Engine, photos: list[Picture]) -> None:
    heads = {"method": "attention", "layer": 3, "heads": "each"}
    (analysis,) = analyze(engine, photos[:1], options(models=[DINO], explain=[heads]))
    made = analysis.explanations
    assert [m.slug for m in made] == [f"free-layer3-head{n}" for n in range(6)]
    assert [(m.layer, m.heads, m.target) for m in made] == [(3, n, None) for n in range(6)]
    assert len({m.heatmap.grid.tobytes() for m in made}) == 6


def test_a_rank_beyond_the_listed_labels_is_still_explained(
    engine: Engine, photos: list[Picture]
) -> None:
    asked = options(models=[LITE0], top_k=1, explain=[{"target": "top10"}])
    (analysis,) = analyze(engine, photos[:1], asked)
    assert len(analysis.labels) == 1
    assert analysis.explanations[0].target != {
        "label": analysis.labels[0].zh,
        "id": analysis.labels[0].id,
    }


def test_classification_alone_makes_no_maps(engine: Engine, photos: list[Picture]) -> None:
    (analysis,) = analyze(engine, photos[:1], options(artifacts=["labels"]))
    assert analysis.labels
    assert analysis.explanations == []


def test_scores_below_the_threshold_are_unknown(engine: Engine, photos: list[Picture]) -> None:
    (sure,) = analyze(engine, photos[:1], options(models=[LITE0]))
    best = sure.labels[0].score
    for threshold, unknown in ((best - 0.01, False), (min(best + 0.01, 1.0), True)):
        (analysis,) = analyze(engine, photos[:1], options(unknown_below=threshold))
        assert analysis.unknown is unknown


def test_a_picture_that_breaks_a_model_leaves_its_neighbours_alone(
    engine: Engine, photos: list[Picture]
) -> None:
    def fail_on_black(batch: torch.Tensor) -> None:
        if (batch.flatten(1).std(1) == 0).any():
            raise RuntimeError("poison")

    pictures = [photos[0], BLACK, photos[1]]
    with before_forward(engine, LITE0, fail_on_black):
        results = attempt(engine, pictures, options(models=[LITE0]))
    assert isinstance(results[1], ModelError)
    expected = analyze(engine, [photos[0], photos[1]], options(models=[LITE0]))
    for result, alone in zip((results[0], results[2]), expected, strict=True):
        assert isinstance(result, Analysis)
        assert [label.id for label in result.labels] == [label.id for label in alone.labels]


def test_scores_that_are_not_numbers_are_an_error_of_that_picture(
    engine: Engine, photos: list[Picture]
) -> None:
    def spoil_the_second(_: torch.nn.Module, __: object, scores: torch.Tensor) -> torch.Tensor:
        spoiled = scores.clone()
        spoiled[1] = float("nan")
        return spoiled

    network = engine._pool.get(LITE0).network  # type: ignore[attr-defined]
    handle = network.classifier.register_forward_hook(spoil_the_second)
    try:
        results = attempt(engine, photos[:2], options(models=[LITE0], artifacts=["labels"]))
    finally:
        handle.remove()
    assert isinstance(results[0], Analysis)
    assert isinstance(results[1], ModelError)


def test_a_map_that_is_not_numbers_is_an_error_of_that_picture(
    engine: Engine, photos: list[Picture]
) -> None:
    def spoil_black(batch: torch.Tensor) -> torch.Tensor:
        uniform = batch.std((2, 3)).amax(1) == 0
        return torch.where(uniform[:, None, None, None], torch.nan, batch)

    with before_forward(engine, DINO, spoil_black):
        results = attempt(engine, [BLACK, photos[0]], options(models=[DINO]))
    assert isinstance(results[0], ExplanationUnavailable | ModelError)
    assert isinstance(results[1], Analysis)


def test_out_of_memory_shrinks_the_batch_and_the_job_goes_on(
    caltech_source: str, photos: list[Picture]
) -> None:
    engine = Engine(device="cpu", max_batch=4, default_models=[LITE0])
    engine.load()
    sizes: list[int] = []

    def two_fit(batch: torch.Tensor) -> None:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with before_forward(engine, LITE0, two_fit):
        unjudged = options(faithfulness=False)
        assert len(analyze(engine, photos, unjudged)) == 6
        assert sizes == [4, 2, 2, 2]
        sizes.clear()
        analyze(engine, photos, unjudged)
        assert sizes == [2, 2, 2]


def test_a_picture_no_memory_holds_fails_alone(engine: Engine, photos: list[Picture]) -> None:
    def black_is_huge(batch: torch.Tensor) -> None:
        if (batch.flatten(1).std(1) == 0).any():
            raise torch.OutOfMemoryError("CUDA out of memory")

    with before_forward(engine, LITE0, black_is_huge):
        results = attempt(engine, [photos[0], BLACK], options(models=[LITE0]))
    assert isinstance(results[0], Analysis)
    assert isinstance(results[1], OutOfMemory)


def test_a_model_of_ones_own_is_loaded_when_a_job_names_it(
    caltech_source: str, photos: list[Picture]
) -> None:
    engine = Engine(device="cpu", default_models=[LITE0], extra_models={"own": caltech_source})
    assert list(engine.loaded) == []
    chosen = options(models=["own"])
    prepared = engine.prepare(photos[0], chosen)
    assert prepared.rgb is photos[0].rgb  # its input size is not known yet
    (first,) = engine.analyze([prepared], chosen)
    assert engine.loaded == ("own",)
    assert isinstance(first, Analysis)
    assert {label.model for label in first.labels} == {"own"}
    (made,) = first.explanations
    assert made.method == "relevance"
    assert made.target == {"label": first.labels[0].zh, "id": first.labels[0].id}
    again = engine.prepare(photos[0], chosen)
    assert again.rgb is None
    (second,) = engine.analyze([again], chosen)
    assert isinstance(second, Analysis)
    assert second.labels == first.labels


def test_a_model_that_cannot_load_fails_its_pictures_and_no_others(
    tmp_path: Path, photos: list[Picture]
) -> None:
    engine = Engine(device="cpu", default_models=[LITE0], extra_models={"gone": f"path:{tmp_path}"})
    chosen = options(models=[LITE0, "gone"])
    results = engine.analyze([engine.prepare(p, chosen) for p in photos[:2]], chosen)
    assert [type(r) for r in results] == [CheckpointInvalid, CheckpointInvalid]
    assert str(tmp_path) not in results[0].message  # type: ignore[union-attr]
    with pytest.raises(CheckpointInvalid):
        engine.load(["gone"])
    assert len(analyze(engine, photos[:1], options())) == 1


def test_top_k_beyond_the_classes_lists_them_all(engine: Engine, photos: list[Picture]) -> None:
    (analysis,) = analyze(engine, photos[:1], options(models=["caltech", LITE0], top_k=100))
    by_model = [label.model for label in analysis.labels]
    assert (by_model.count("caltech"), by_model.count(LITE0)) == (100, 100)
    for name in ("caltech", LITE0):
        ranks = [label.rank for label in analysis.labels if label.model == name]
        assert ranks == list(range(1, 101))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"models": ["resnet"]}, UnknownModel),
        ({"models": [DINO], "explain": [{"method": "cam"}]}, ExplanationUnavailable),
        ({"explain": [{"target": {"label": "不存在的东西"}}]}, InvalidOptions),
        ({"label_set": "cars"}, InvalidOptions),
    ],
)
def test_options_no_analysis_could_serve_are_refused_early_and_late(
    engine: Engine, photos: list[Picture], given: dict[str, Any], error: type[GuanwuError]
) -> None:
    with pytest.raises(error):
        engine.prepare(photos[0], options(**given))
    prepared = engine.prepare(photos[0], options())
    (result,) = engine.analyze([prepared], options(**given))
    assert isinstance(result, error)


def test_an_unknown_default_model_stops_the_start() -> None:
    with pytest.raises(UnknownModel, match="dinov2-small"):
        Engine(device="cpu", default_models=["dinov9"])


def test_pictures_are_prepared_alike_from_many_threads(
    engine: Engine, photos: list[Picture]
) -> None:
    expected = [engine.prepare(p, options()) for p in photos]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda p: engine.prepare(p, options()), photos * 4))
    for n, prepared in enumerate(found):
        for name, framed in prepared.framed.items():
            assert np.array_equal(framed.pixels, expected[n % 6].framed[name].pixels)
        assert prepared.rgb is None


def test_times_are_each_pictures_share(engine: Engine, photos: list[Picture]) -> None:
    results = analyze(engine, photos[:4], options())
    for analysis in results:
        assert 0 < analysis.timing_ms["forward"] < 60_000
        assert 0 < analysis.timing_ms["explain"] < analysis.timing_ms["forward"]


def test_the_catalogue_names_what_jobs_may_ask_for(engine: Engine, shared_data: Path) -> None:
    catalog = engine.catalog()
    offered = {m.id: m for m in catalog.models}
    assert [name for name, m in offered.items() if m.default] == [LITE0, DINO]
    assert (offered[LITE0].label_set, offered[LITE0].methods) == ("imagenet1k", ("cam", "layercam"))
    assert offered[DINO].label_free_methods == ("attention", "self_relevance", "rollout")
    assert offered["caltech"].methods == ("relevance", "grad_attention", "legrad")
    assert offered["caltech"].label_free_methods == ("self_relevance", "attention", "rollout")
    assert ("imagenet1k", 1000) in [(s.id, s.size) for s in catalog.label_sets]
    check_options(catalog, options())
    assert str(shared_data) not in catalog.model_dump_json()  # no folders of the server


def test_results_name_the_weights_that_made_them(engine: Engine, photos: list[Picture]) -> None:
    (analysis,) = analyze(engine, photos[:1], options())
    published = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert analysis.models[0].weights_sha256 == published
    assert len(analysis.models[1].weights_sha256) == 64
    assert [m.family for m in analysis.models] == ["cnn", "vit"]


def test_a_photo_far_larger_than_the_model_keeps_its_label(
    engine: Engine, photos: list[Picture]
) -> None:
    large = np.asarray(Image.fromarray(photos[0].rgb).resize((3000, 3000)))
    small, big = analyze(engine, [photos[0], picture(large)], options(models=[LITE0]))
    assert small.labels[0].id == big.labels[0].id
    assert abs(small.labels[0].score - big.labels[0].score) < 0.1


@pytest.mark.parametrize("model", [LITE0, "caltech"])
def test_a_large_jpeg_decoded_small_gets_the_labels_and_regions_of_the_whole(
    engine: Engine, shared_data: Path, model: str
) -> None:
    engine.load([model])  # before that its input's size is not known
    chosen = options(models=[model], explain=[{"method": "auto"}], faithfulness=False)
    for path in sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]:
        with Image.open(path) as photo:
            large = io.BytesIO()
            photo.convert("RGB").resize((4240, 2828)).save(large, "JPEG", quality=90)
        opened = partial(decode, large.getvalue(), max_bytes=2**24, max_pixels=2**24)
        whole, small = opened(), opened(enough=engine.enough(chosen))
        assert small.rgb.size * 4 <= whole.rgb.size
        of_small, of_whole = analyze(engine, [small, whole], chosen)
        assert of_small.labels[0].id == of_whole.labels[0].id
        assert of_small.labels[0].score == pytest.approx(of_whole.labels[0].score, abs=0.03)
        ours, theirs = (made.explanations[0].heatmap for made in (of_small, of_whole))
        assert (ours.window, ours.width, ours.height) == (theirs.window, 4240, 2828)
        assert np.corrcoef(ours.grid.ravel(), theirs.grid.ravel())[0, 1] > 0.99
        boxes = [diagnostics.diagnose(heatmap).regions[0].box_px for heatmap in (ours, theirs)]
        assert np.ptp(boxes, axis=0).max() <= 4240 / 16, "more than a patch apart"
