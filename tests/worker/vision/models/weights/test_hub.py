"""Hub snapshots, from a small server that speaks the hub's two calls."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from worker.contract.errors import ModelUnavailable
from worker.vision.models.registry.sources import Folder, HubSnapshot
from worker.vision.models.registry.specs import register_models
from worker.vision.models.weights.download import hub_snapshot
from worker.vision.models.weights.materialize import at_hand

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "vit"}',
    "preprocessor_config.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"pickle",
    "modeling_evil.py": b"raise SystemExit",
}


REPOSITORIES = {
    "org/vit": FILES,
    "org/pickled": {k: v for k, v in FILES.items() if not k.endswith(".safetensors")},
    "org/convnext": FILES | {"config.json": b'{"model_type": "convnext"}'},
}


class Hub(BaseHTTPRequestHandler):
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        name = self.path.rpartition("/")[2].partition("?")[0]
        repo = next((repo for repo in REPOSITORIES if f"/{repo}/" in self.path), None)
        files = REPOSITORIES.get(repo or "", {})
        if self.path.startswith(f"/api/models/{repo}/tree/"):
            content = json.dumps(
                [
                    {"type": "file", "path": f, "size": len(c), "oid": "0" * 40}
                    for f, c in files.items()
                ]
            ).encode()
        elif self.path.startswith(f"/api/models/{repo}/"):
            siblings = [{"rfilename": f} for f in files]
            content = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
        elif self.path.startswith(f"/{repo}/resolve/") and name in files:
            content = files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    point_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does, which huggingface_hub reads once at import."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", url)


def test_a_snapshot_is_pinned_and_holds_nothing_that_could_be_code(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    folder = hub_snapshot(HubSnapshot(repo="org/vit", revision=COMMIT), model_dir=tmp_path)
    assert folder.name == COMMIT
    names = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert names == {k: v for k, v in FILES.items() if k.endswith((".json", ".safetensors"))}


def test_pickled_weights_are_fetched_where_there_are_no_others(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    folder = hub_snapshot(HubSnapshot(repo="org/pickled"), model_dir=tmp_path)
    assert (folder / "pytorch_model.bin").read_bytes() == b"pickle"
    assert not (folder / "modeling_evil.py").exists()


def test_a_branch_becomes_the_commit_it_stood_for(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert hub_snapshot(HubSnapshot(repo="org/vit"), model_dir=tmp_path).name == COMMIT


def test_an_unknown_repository_is_unavailable(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="path:/folder"):
        hub_snapshot(HubSnapshot(repo="org/none"), model_dir=tmp_path)


def test_a_hub_out_of_reach_is_unavailable_and_a_cached_snapshot_still_serves(
    hub: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = HubSnapshot(repo="org/vit", revision=COMMIT)
    before = hub_snapshot(wanted, model_dir=tmp_path / "filled")
    point_at("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    assert hub_snapshot(wanted, model_dir=tmp_path / "filled") == before
    with pytest.raises(ModelUnavailable, match="HF_ENDPOINT"):
        hub_snapshot(wanted, model_dir=tmp_path / "empty")


def test_a_snapshot_tells_its_family_when_it_is_here(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    own = register_models({"a": "hub:org/convnext", "b": f"hub:org/vit@{COMMIT}"})
    assert {spec.family for spec in own.values() if spec.id in "ab"} == {"vit"}
    found = [at_hand(own[name], model_dir=tmp_path, progress=print) for name in "ab"]
    assert [spec.family for spec in found] == ["cnn", "vit"]
    for spec in found:
        assert isinstance(spec.source, Folder)
        assert (spec.source.path / "config.json").is_file()
        assert spec.revision == COMMIT
