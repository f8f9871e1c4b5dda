"""The built overlays fit Kubernetes' schemas, the settings, and what an operator relies on."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest

from api.gunicorn_conf import graceful_timeout
from tests.deploy.composition import ROOT
from tests.deploy.kustomization import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    built,
    containers,
    environment,
    pod,
)
from worker.contract.settings.environment import load
from worker.contract.settings.model import PREFIX

VERSIONS = ("1.30.0", "1.37.0")  # the oldest we promise, the newest that the schemas know
SUPERVISOR_S = 5.0
overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m for m in built(overlay) if m["kind"] == kind}


def workloads(overlay: str) -> list[Manifest]:
    return [manifest for manifest in built(overlay) if pod(manifest)]


@pytest.mark.parametrize("version", VERSIONS)
@overlays
def test_every_manifest_fits_its_schema(overlay: str, version: str) -> None:
    manifests = [m for m in built(overlay) if m["kind"] != "ScaledObject"]
    assert len(manifests) > 15
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_refuse_a_misspelled_field() -> None:
    (api,) = (m for m in workloads("cpu") if m["metadata"]["name"] == "api")
    pod(api)["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(api, VERSIONS[0], strict=True)


@overlays
def test_all_is_in_one_namespace_and_no_name_stands_twice(overlay: str) -> None:
    manifests = built(overlay)
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests]
    assert len(names) == len(set(names))
    spaces = {m["metadata"].get("namespace") for m in manifests if m["kind"] != "Namespace"}
    assert spaces == {"guanwu"}


@overlays
def test_pods_have_no_rights_and_write_to_volumes_alone(overlay: str) -> None:
    for manifest in workloads(overlay):
        spec = pod(manifest)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(manifest):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@overlays
def test_everything_that_runs_on_is_probed_and_images_are_pinned(overlay: str) -> None:
    for manifest in workloads(overlay):
        for container in pod(manifest)["containers"]:
            assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}
        for container in containers(manifest):
            assert re.search(r":\d+\.\d+", container["image"])


@overlays
def test_pods_have_longer_to_stop_than_they_drain(overlay: str) -> None:
    graces = {
        m["metadata"]["name"]: pod(m)["terminationGracePeriodSeconds"] for m in workloads(overlay)
    }
    for name in ("worker", "coordinator"):
        assert graces[name] > load({}).drain_s + SUPERVISOR_S
    assert graces["api"] > graceful_timeout + 5  # of preStop


@overlays
def test_disruptions_leave_somebody_at_work(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    deployments = of_kind(overlay, "Deployment")
    assert budgets.keys() == deployments.keys() == {"api", "coordinator", "worker"}
    for name, budget in budgets.items():
        assert budget["spec"]["selector"] == deployments[name]["spec"]["selector"]
        if "minAvailable" in budget["spec"]:
            assert deployments[name]["spec"]["replicas"] > budget["spec"]["minAvailable"]


@pytest.mark.parametrize(("overlay", "gpus"), [("cpu", None), ("gpu", "1"), ("aws", "1")])
def test_a_worker_of_the_gpu_overlays_has_one_gpu(overlay: str, gpus: str | None) -> None:
    first, worker = containers(of_kind(overlay, "Deployment")["worker"])
    for quantity in ("requests", "limits"):
        assert worker["resources"][quantity].get("nvidia.com/gpu") == gpus
        assert "nvidia.com/gpu" not in first["resources"][quantity]
    device = {"name": "GUANWU_DEVICE", "value": "cuda" if gpus else "cpu"}
    assert device in worker["env"]


@overlays
def test_settings_are_real_and_their_secrets_are_mounted(overlay: str, tmp_path: Any) -> None:
    (tmp_path / "redis_url").write_text("redis://:secret@valkey:6379/0")
    (tmp_path / "tokens").write_text("local=0123456789abcdef")
    for manifest in workloads(overlay):
        if manifest["kind"] != "Deployment":
            continue
        mounted = set(re.findall(r'"path": "([\w.]+)"', json.dumps(pod(manifest)["volumes"])))
        for container in containers(manifest):
            found = environment(built(overlay), container)
            wanted = {v.rpartition("/")[2] for v in found.values() if v.startswith("/etc/guanwu/")}
            assert wanted <= mounted
            settings = load(
                {
                    name: value.replace("/etc/guanwu", str(tmp_path))
                    for name, value in found.items()
                    if name.startswith(PREFIX)
                }
            )
            assert (settings.tokens is not None) == (container["name"] == "api")


def test_no_secret_stands_in_the_manifests_and_the_pods_read_those_that_are_made() -> None:
    script = (ROOT / "deploy/docker/secrets.sh").read_text()
    made = set(re.findall(r"> ([\w.]+)$", script, re.MULTILINE))
    for overlay in OVERLAYS:
        assert of_kind(overlay, "Secret") == {}
        text = json.dumps(built(overlay))
        assert "requirepass " not in text.replace("^requirepass ", "")
        assert set(re.findall(r'"key": "(\w+(?:\.\w+)?)", "path"', text)) <= made


def test_on_aws_there_are_no_keys_but_roles() -> None:
    manifests = built("aws")
    assert "AWS_SHARED_CREDENTIALS_FILE" not in json.dumps(manifests)
    accounts = of_kind("aws", "ServiceAccount")
    for manifest in workloads("aws"):
        account = accounts[pod(manifest)["serviceAccountName"]]
        assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert of_kind("aws", "StatefulSet") == {}
    settings = of_kind("aws", "ConfigMap")["guanwu-store"]["data"]
    assert load({k: v for k, v in settings.items() if k.startswith(PREFIX)}).s3_endpoint is None


@overlays
def test_the_token_of_a_role_can_be_mounted_beside_our_secrets(overlay: str) -> None:
    """It comes below /run/secrets, where nothing can be put once that is mounted read-only."""
    for manifest in workloads(overlay):
        for container in containers(manifest):
            for mount in container["volumeMounts"]:
                assert not mount["mountPath"].startswith(("/run", "/var/run"))


@overlays
def test_nothing_is_let_in_or_out_that_no_policy_names(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["nothing"]["spec"] == everything
    for policy in policies.values():
        for rule in policy["spec"].get("egress", ()):
            for to in rule.get("to", ()):
                if "ipBlock" in to:
                    assert "169.254.0.0/16" in to["ipBlock"]["except"]
    if "valkey" in policies:
        (rule,) = policies["valkey"]["spec"]["ingress"]
        assert rule["from"]


@overlays
def test_services_lead_to_ports_of_pods_that_there_are(overlay: str) -> None:
    for service in of_kind(overlay, "Service").values():
        chosen = [
            manifest
            for manifest in workloads(overlay)
            if service["spec"]["selector"].items()
            <= manifest["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(chosen) == 1
        named = {p["name"] for c in containers(chosen[0]) for p in c.get("ports", ())}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


@overlays
def test_every_overlay_is_told_of_in_the_documents(overlay: str) -> None:
    assert f"deploy/kubernetes/overlays/{overlay}" in (ROOT / "deploy/README.md").read_text()
    assert (KUBERNETES / "overlays" / overlay).is_dir()


# KEDA's resources have no schema among Kubernetes' own: their fields, as KEDA 2.17 documents them.
SPEC = {
    "scaleTargetRef",
    "minReplicaCount",
    "maxReplicaCount",
    "pollingInterval",
    "cooldownPeriod",
    "advanced",
    "triggers",
}
TRIGGER = {"url", "format", "valueLocation", "targetValue", "activationTargetValue"}


@overlays
def test_keda_scales_the_workers_to_zero_and_back(overlay: str) -> None:
    scaled = of_kind(overlay, "ScaledObject")["worker"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    assert spec.keys() == SPEC
    assert spec["minReplicaCount"] == 0
    worker = of_kind(overlay, "Deployment")["worker"]
    assert spec["scaleTargetRef"] == {"name": worker["metadata"]["name"]}
    assert "replicas" not in worker["spec"]  # or each `apply` would undo what KEDA did
    formula = spec["advanced"]["scalingModifiers"]
    assert formula.keys() == {"formula", "target", "activationTarget"}
    assert set(re.findall(r"\w+", formula["formula"])) == {t["name"] for t in spec["triggers"]}
    for trigger in spec["triggers"]:
        assert trigger["type"] == "metrics-api"
        assert trigger["metadata"].keys() == TRIGGER
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        assert trigger["metadata"]["url"] == "http://api.guanwu.svc/metrics"


@overlays
def test_while_workers_are_at_zero_somebody_plans_jobs(overlay: str) -> None:
    """A job from a manifest has no image that waits until it is planned."""
    deployments = of_kind(overlay, "Deployment")
    assert deployments["coordinator"]["spec"]["replicas"] > 0
    (container,) = containers(deployments["coordinator"])
    assert container["command"] == ["python", "-m", "worker", "coordinate"]
    assert "api" in container["image"]
