"""What the doctor makes of what it measured."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from worker.contract.settings.environment import load
from worker.doctor import fonts, gpu, network, object_store, redis
from worker.doctor import settings as setup
from worker.doctor.gpu import Gpu

H100 = Gpu(0, "H100", (9, 0), free_mb=80_000, total_mb=81_559)
BUILT_FOR = ("sm_75", "sm_80", "sm_86", "sm_90")


def levels(findings: list[object]) -> set[str]:
    return {getattr(finding, "level", "") for finding in findings}


def test_a_font_without_chinese_is_named_with_the_letters_it_lacks() -> None:
    latin = ImageFont.load_default(24)
    assert isinstance(latin, ImageFont.FreeTypeFont)
    found = fonts.judge(latin, name="latin.ttf")
    assert found.level == "problem"
    assert found.what.startswith("latin.ttf lacks 观物识别")


def test_the_font_that_is_installed_has_them() -> None:
    assert levels([*fonts.examine()]) == {"ok"}


@pytest.mark.parametrize(
    ("skew_s", "level"),
    [(0, "ok"), (-4, "ok"), (30, "warning"), (-30, "warning"), (-900, "problem")],
)
def test_a_clock_that_is_off_is_named(skew_s: float, level: str) -> None:
    found = object_store.judge_skew(skew_s)
    assert found.level == level
    assert ("behind" in found.what) == (level != "ok" and skew_s < 0)


@pytest.mark.parametrize(("ms", "level"), [(0.3, "ok"), (40, "warning")])
def test_a_redis_far_away_is_named(ms: float, level: str) -> None:
    assert redis.judge_latency(ms).level == level


@pytest.mark.parametrize(
    ("knowing", "of", "level"),
    [(3, 3, "ok"), (2, 3, "warning"), (1, 3, "problem"), (2, 2, "warning")],
)
def test_most_sentinels_must_know_the_master(knowing: int, of: int, level: str) -> None:
    assert redis.judge_sentinels(knowing, of=of, master="pictures").level == level


def test_a_gpu_that_torch_knows_and_that_is_free_is_fine() -> None:
    assert levels([*gpu.judge(H100, built_for=BUILT_FOR)]) == {"ok"}


@pytest.mark.parametrize(
    ("capability", "fits"), [((8, 9), True), ((6, 1), False), ((10, 0), False)]
)
def test_a_gpu_must_be_one_that_torch_was_built_for(
    capability: tuple[int, int], fits: bool
) -> None:
    own = Gpu(0, "own", capability, free_mb=8000, total_mb=8192)
    found, _ = gpu.judge(own, built_for=BUILT_FOR)
    assert (found.level == "ok") is fits


def test_a_gpu_that_others_fill_is_named() -> None:
    _, room = gpu.judge(Gpu(0, "own", (9, 0), free_mb=900, total_mb=8192), built_for=BUILT_FOR)
    assert room.level == "warning"
    assert "nvidia-smi" in room.remedy


@pytest.mark.parametrize(
    ("wanted", "level"), [("auto", "ok"), ("cpu", "ok"), ("cuda:1", "problem")]
)
def test_no_gpu_matters_where_one_is_wanted(wanted: str, level: str) -> None:
    assert gpu.judge_absence(wanted, reason="no driver").level == level


def test_every_address_of_the_settings_is_tried() -> None:
    own = {
        "GUANWU_REDIS_URL": "sentinel://a,b:7/pictures",
        "GUANWU_S3_ENDPOINT": "http://seaweedfs:8333",
        "GUANWU_S3_PUBLIC_ENDPOINT": "https://pictures.example.com",
    }
    assert network.addresses_of(load(own)) == [
        ("GUANWU_REDIS_URL", "a", 26379),
        ("GUANWU_REDIS_URL", "b", 7),
        ("GUANWU_S3_ENDPOINT", "seaweedfs", 8333),
        ("GUANWU_S3_PUBLIC_ENDPOINT", "pictures.example.com", 443),
    ]


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"GUANWU_S3_ENDPOINT": "http://seaweedfs:8333"}, "GUANWU_S3_PUBLIC_ENDPOINT"),
        ({"GUANWU_RETAIN_S": "600"}, "GUANWU_LINK_TTL_S"),
        ({"GUANWU_RECORD_TTL_S": "99999999"}, "GUANWU_RECORD_TTL_S"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings: dict[str, str], remedy: str) -> None:
    (found,) = [f for f in setup.examine(load(settings)) if f.level != "ok"]
    assert found.level == "warning"
    assert remedy in found.remedy
