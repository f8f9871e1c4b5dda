"""Lifecycle rules: what they say, and that a real store takes them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.support.stack import Bucket, SettingsFactory
from worker.__main__ import main
from worker.commands.bucket_lifecycle import build_rules
from worker.contract.errors import SettingsInvalid
from worker.contract.objects import keys
from worker.contract.settings.environment import load

DAY_S = 86_400


def test_without_tenants_nothing_expires_that_is_in_use() -> None:
    for rule in build_rules(load({})):
        assert rule["Filter"] == {"Prefix": ""}
        assert "Days" not in rule.get("Expiration", {})


@pytest.mark.parametrize("retain_days", [1, 30, 400])
def test_expiry_comes_after_the_longest_job_and_its_retention(retain_days: int) -> None:
    settings = load({"GUANWU_RETAIN_S": str(retain_days * DAY_S)})
    expiring = {
        rule["Filter"]["Prefix"]: rule["Expiration"]["Days"]
        for rule in build_rules(settings, tenants=["one", "two"])
        if "Days" in rule.get("Expiration", {})
    }
    assert set(expiring) == {"t/one/jobs/", "t/one/uploads/", "t/two/jobs/", "t/two/uploads/"}
    assert set(expiring.values()) == {30 + retain_days + 7}


def test_inputs_and_feedback_are_left_to_retention() -> None:
    prefixes = [rule["Filter"]["Prefix"] for rule in build_rules(load({}), tenants=["one"])]
    kept = (keys.input_key("one", ""), keys.feedback_prefix("one"), keys.ADMIN)
    assert not [p for p in prefixes if p and any(key.startswith(p) for key in kept)]


def test_where_jobs_are_kept_for_ever_none_expires() -> None:
    settings = load({"GUANWU_RETAIN_S": ""})
    assert build_rules(settings)
    with pytest.raises(SettingsInvalid, match="GUANWU_RETAIN_S"):
        build_rules(settings, tenants=["one"])


def test_more_rules_than_s3_takes_are_refused() -> None:
    with pytest.raises(SettingsInvalid, match="1,000"):
        build_rules(load({}), tenants=map(str, range(500)))


def test_a_store_takes_the_rules_as_they_are_printed(settings: SettingsFactory, s3: Bucket) -> None:
    s3.client.put_object(Bucket=s3.name, Key=keys.job_record("one", "job_1"), Body=b"{}")
    told = CliRunner().invoke(main, ["admin", "lifecycle", "--expire"], env=settings.environment())
    assert told.exit_code == 0, told.output
    printed = json.loads(told.stdout)
    s3.client.put_bucket_lifecycle_configuration(Bucket=s3.name, LifecycleConfiguration=printed)
    taken = s3.client.get_bucket_lifecycle_configuration(Bucket=s3.name)["Rules"]
    days = {
        rule["ID"]: rule["Expiration"]["Days"]
        for rule in taken
        if "Days" in rule.get("Expiration", {})
    }
    assert days == {"guanwu-jobs-one": 67, "guanwu-uploads-one": 67}
