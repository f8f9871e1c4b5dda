"""A folder as ModelScope ships 万物识别, in real jobs: 54,092 labels, and a bad one beside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from deploy.stack import Stack
from tests.support.resnest_checkpoint import CLASSES, folder_of, hollow, names, recipe
from tests.support.stack import CPU_SETTINGS, running_stack

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def models(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Path]]:
    """A whole folder and one whose checkpoint was cut, both gone afterwards: 630 MB."""
    root = tmp_path_factory.mktemp("models")
    trunk = recipe(shared_data, classes=1)
    head = torch.randn(CLASSES, 2048, generator=torch.Generator().manual_seed(0)) * 0.03
    whole = trunk | {"fc.weight": head, "fc.bias": torch.zeros(CLASSES)}
    prefixed = {f"module.{name}": tensor for name, tensor in whole.items()}
    cut = {k: v for k, v in hollow(shared_data).items() if not k.startswith("layer4.2.")}
    folders = {
        "general": folder_of(root / "general", {"state_dict": prefixed}, names(CLASSES)),
        "cut": folder_of(root / "cut", cut, names(3)),
    }
    yield folders
    for folder in folders.values():
        (folder / "pytorch_model.pt").unlink()


@pytest.fixture(scope="module")
def http(models: dict[str, Path]) -> Iterator[httpx.Client]:
    """The front door of a stack of its own, whose default model is the whole folder."""
    own = ",".join(f"{name}=path:{folder}" for name, folder in models.items())
    settings = {"GUANWU_MODELS": own, "GUANWU_DEFAULT_MODELS": "general"}
    settings |= {"GUANWU_TORCH_THREADS": "1"}  # two of them wait for each other on a busy machine
    with (
        running_stack(settings=CPU_SETTINGS | settings) as stack,
        _client(stack) as client,
    ):
        yield client


def _client(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, headers=stack.authorization, timeout=60)


def run(http: httpx.Client, photo: Path, **options: object) -> dict[str, Any]:
    """The one item of a job over a photo."""
    answer = http.post(
        "/v1/jobs",
        files={"files": (photo.name, photo.read_bytes())},
        data={"options": json.dumps({"options": options})},
    )
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]
    for _ in range(20):
        if http.get(path, params={"wait": 20}).json()["done"]:
            break
    (item,) = http.get(f"{path}/results").json()["items"]
    return dict(item)


@pytest.fixture
def photo(shared_data: Path) -> Path:
    return min((shared_data / "data" / "photos").glob("*.jpg"))


def test_a_photo_gets_chinese_labels_with_probabilities_and_their_maps(
    http: httpx.Client, photo: Path
) -> None:
    item = run(
        http,
        photo,
        top_k=5,
        explain=[{"method": "cam"}, {"method": "layercam"}],
        artifacts=["labels", "overlay"],
    )
    assert item["status"] == "succeeded", item
    scores = [label["score"] for label in item["labels"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1
    for label in item["labels"]:
        assert label["zh"] == f"类别{label['id']}"
        assert label["model"] == "general"
    best = item["labels"][0]
    assert {made["method"] for made in item["explanations"]} == {"cam", "layercam"}
    for made in item["explanations"]:
        assert made["target"] == {"label": best["zh"], "id": best["id"]}
        assert made["faithfulness"]["verdict"]
        assert httpx.get(made["artifacts"]["overlay"]["url"]).content.startswith(PNG)


def test_any_label_is_explained_by_its_chinese_name(http: httpx.Client, photo: Path) -> None:
    item = run(http, photo, explain=[{"method": "cam", "target": {"label": "类别54091"}}])
    assert item["status"] == "succeeded", item
    assert item["explanations"][0]["target"] == {"label": "类别54091", "id": 54_091}


def test_the_catalogue_says_what_the_folder_holds(
    http: httpx.Client, models: dict[str, Path]
) -> None:
    answer = http.get("/v1/models")
    listed = {model["id"]: model for model in answer.json()["models"]}
    assert listed["general"]["family"] == "resnest"
    assert listed["general"]["classes"] == CLASSES
    assert listed["general"]["methods"] == ["cam", "layercam"]
    assert listed["general"]["source"] == "path:general"
    sets = {labels["id"]: labels for labels in answer.json()["label_sets"]}
    assert sets["general"]["size"] == CLASSES
    assert sets["general"]["languages"] == ["zh"]
    assert not any(str(folder.parent) in answer.text for folder in models.values())


def test_a_checkpoint_cut_short_fails_the_picture_and_names_the_tensor(
    http: httpx.Client, photo: Path
) -> None:
    item = run(http, photo, models=["cut"])
    assert item["status"] == "failed"
    assert item["error"]["code"] == "checkpoint_invalid"
    assert "layer4.2.conv1.weight (512x2048x1x1) is missing" in item["error"]["message"]
