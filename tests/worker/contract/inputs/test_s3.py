"""Objects in S3 that jobs may name: buckets, folders in them, and no trick out of those."""

from __future__ import annotations

import pytest

from worker.contract.errors import SettingsInvalid
from worker.contract.inputs.s3 import may_read
from worker.contract.settings.environment import load


def readable(address: str, allowed: str, *, tenant: str = "one") -> bool:
    settings = load({"GUANWU_S3_BUCKET": "own-bucket", "GUANWU_S3_INPUT_BUCKETS": allowed})
    return may_read(address, settings, tenant=tenant)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("s3://pictures/a.png", "pictures"),
        ("s3://pictures/", "pictures"),
        ("s3://pictures/a/b//c.png", "pictures"),
        ("s3://pictures/100%.png", "pictures"),
        ("s3://pictures/猫/1.png", "other, pictures/猫/"),
        ("s3://pictures/pets/1.png", "pictures/pets/"),
        ("s3://pictures/pets/", "pictures/pets/"),
        ("s3://pictures/cars/1.png", "pictures/pets/,pictures/cars/"),
        ("s3://pictures/one/1.png", "pictures/{tenant}/"),
        ("s3://own-bucket/t/one/uploads/upl_1", "own-bucket"),
        ("s3://own-bucket/samples/1.png", "own-bucket/samples/"),
    ],
)
def test_what_lies_in_an_allowed_place_may_be_read(address: str, allowed: str) -> None:
    assert readable(address, allowed)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("s3://pictures/a.png", ""),
        ("s3://pictures2/a.png", "pictures"),
        ("s3://PICTURES/a.png", "pictures"),
        ("s3://../pictures/a.png", "pictures"),
        ("s3://pictures/a.png", "pictures/pets/"),
        ("s3://pictures/", "pictures/pets/"),
        ("s3://pictures/pets", "pictures/pets/"),
        ("s3://pictures/petsandmore/1.png", "pictures/pets/"),
        ("s3://pictures/two/1.png", "pictures/{tenant}/"),
        ("s3://pictures/{tenant}/1.png", "pictures/{tenant}/"),
        ("s3://pictures/onemore/1.png", "pictures/{tenant}/"),
        ("s3://own-bucket/t/two/uploads/upl_1", "own-bucket"),
        ("s3://own-bucket/t/two/uploads/upl_1", "own-bucket,own-bucket/t/"),
        ("s3://own-bucket/t/", "own-bucket/t/"),
        ("s3://own-bucket/admin/keys/key_1.json", "own-bucket/admin/"),
        ("s3://own-bucket/admin/", "own-bucket,own-bucket/admin/keys/"),
        ("s3://own-bucket/", "own-bucket"),
        ("s3://own-bucket/elsewhere/1.png", "own-bucket"),
    ],
)
def test_what_lies_elsewhere_may_not(address: str, allowed: str) -> None:
    assert not readable(address, allowed)


@pytest.mark.parametrize(
    "trick",
    [
        "../cars/1.png",
        "./../cars/1.png",
        "a/../../cars/1.png",
        "..",
        "../",
        "%2e%2e/cars/1.png",
        "%2E%2e%2Fcars/1.png",
        "%252e%252e/cars/1.png",
        "%25252525252e%25252525252e/cars/1.png",
        "..%2fcars/1.png",
        "..\\cars\\1.png",
        "%5c..%5ccars",
        "a%00.png",
        "a\n.png",
    ],
)
@pytest.mark.parametrize("allowed", ["pictures", "pictures/pets/"])
def test_no_key_leads_out_of_its_folder(trick: str, allowed: str) -> None:
    assert not readable(f"s3://pictures/pets/{trick}", allowed)


@pytest.mark.parametrize("key", ["/t/two/1.png", "t/one/../two/1.png", "t/one/%2e%2e/two/1.png"])
def test_no_key_leads_to_another_tenant(key: str) -> None:
    assert not readable(f"s3://own-bucket/{key}", "own-bucket,own-bucket/t/")


@pytest.mark.parametrize(
    "value", ["pictures/pets", "pictures//", "pictures/../", "pictures/a//b/", "/a/", "s3://a/"]
)
def test_a_place_that_is_written_wrongly_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"GUANWU_S3_INPUT_BUCKETS=.*write"):
        load({"GUANWU_S3_INPUT_BUCKETS": value})
