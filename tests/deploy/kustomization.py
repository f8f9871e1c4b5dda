"""Builds our overlays as `kubectl kustomize` does, for what our kustomizations use of it.

Strategic merges know the lists of pods that have keys; every other list is replaced. What a
kustomization names beyond this stops the build, so that nothing is passed over in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.composition import ROOT, Stage, stages

Manifest = dict[str, Any]
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = ("cpu", "gpu", "aws")
KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images"}
LIST_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
CLUSTER_WIDE = {"Namespace"}


def built(overlay: str) -> list[Manifest]:
    """All manifests of an overlay.

    Raises:
        ValueError: a kustomization uses what this reader does not know, or patches nothing.
    """
    return _build(KUBERNETES / "overlays" / overlay, [])


def _build(folder: Path, found: list[Manifest]) -> list[Manifest]:
    """`found` and what the folder adds; a component changes what was found before."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := kustomization.keys() - KNOWN:
        raise ValueError(f"{folder}: this reader does not know {sorted(unknown)}")
    for name in kustomization.get("resources", ()):
        path = folder / name
        found = [*found, *(_build(path, []) if path.is_dir() else _documents(path))]
    for name in kustomization.get("components", ()):
        found = _build(folder / name, found)
    for patch in kustomization.get("patches", ()):
        for change in _documents(folder / patch["path"]):
            _patch(found, change)
    for manifest in found:
        _place(manifest, kustomization)
    return found


def _documents(path: Path) -> Iterator[Manifest]:
    loaded = yaml.safe_load_all(path.read_text())
    # By way of JSON, so that what an anchor repeats is changed in one place alone.
    return (json.loads(json.dumps(document)) for document in loaded if document)


def _patch(found: list[Manifest], change: Manifest) -> None:
    targets = [m for m in found if _name(m) == _name(change)]
    if len(targets) != 1:
        raise ValueError(f"a patch for {_name(change)} finds {len(targets)} of it")
    _merge(targets[0], change)


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _merge(target: Manifest, change: Manifest) -> None:
    for key, value in change.items():
        known = target.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            _merge(known, value)
        elif isinstance(known, list) and key in LIST_KEYS:
            _merge_list(known, value, LIST_KEYS[key])
        else:
            target[key] = value


def _merge_list(target: list[Manifest], change: list[Manifest], key: str) -> None:
    for entry in change:
        same = [known for known in target if known[key] == entry[key]]
        if same:
            _merge(same[0], entry)
        else:
            target.append(entry)


def _place(manifest: Manifest, kustomization: Manifest) -> None:
    if "namespace" in kustomization and manifest["kind"] not in CLUSTER_WIDE:
        manifest["metadata"]["namespace"] = kustomization["namespace"]
    for image in kustomization.get("images", ()):
        for container in containers(manifest):
            name, _, tag = container["image"].partition(":")
            if name == image["name"]:
                container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def pod(manifest: Manifest) -> Manifest:
    """The pod's specification of a Deployment or a StatefulSet; empty for all else."""
    if manifest["kind"] not in ("Deployment", "StatefulSet"):
        return {}
    found = manifest["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def containers(manifest: Manifest) -> list[Manifest]:
    """Those of a manifest's pods, the ones that run first included."""
    spec = pod(manifest)
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def image_of(container: Manifest) -> Stage:
    """The stage that a container of ours was built as; an empty one for images of others."""
    name, _, tag = container["image"].partition(":")
    kind = name.rpartition("/")[2]
    if kind == "guanwu-api":
        return stages(ROOT / "deploy/docker/api.Dockerfile")[""]
    if kind == "guanwu-worker":
        return stages(ROOT / "deploy/docker/worker.Dockerfile")[tag.rpartition("-")[2]]
    return Stage("", "")


def environment(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """What a container finds, the variables of its image included."""
    found = dict(image_of(container).environment)
    maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    return found | {entry["name"]: entry["value"] for entry in container.get("env", ())}
