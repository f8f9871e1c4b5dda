"""Models: files are as published, they load, and one picture passes."""

from __future__ import annotations

from worker.contract.errors import GuanwuError
from worker.contract.finding import Finding, problem, warning
from worker.contract.settings.model import Settings
from worker.inference.engine_factory import make_engine, own_models
from worker.vision.engine.engine import Engine
from worker.vision.engine.model_check import check
from worker.vision.models.registry.sources import WheelFile
from worker.vision.models.registry.specs import ModelSpec, register_models
from worker.vision.models.weights.cache import sha256_of
from worker.vision.models.weights.download import wheel_file_path
from worker.vision.models.weights.materialize import converted_folder

SUBJECT = "models"


def examine(settings: Settings) -> list[Finding]:
    """The default models and a deployment's own. Fetches none of the package index."""
    try:
        own = own_models(settings)
        specs = register_models(own)
        engine = make_engine(settings, device="cpu")
    except GuanwuError as exc:
        remedy = "correct GUANWU_MODELS, GUANWU_MODELS_FILE or GUANWU_DEFAULT_MODELS"
        return [problem(SUBJECT, exc.message, remedy=remedy)]
    wanted = dict.fromkeys((*settings.default_model_ids, *own))
    return [
        _of_file(specs[name], settings.model_dir) or _of_run(engine, specs[name]) for name in wanted
    ]


def _of_file(spec: ModelSpec, model_dir: str | None) -> Finding | None:
    """The fault of a file whose hash is known beforehand."""
    if not isinstance(spec.source, WheelFile):
        return None
    path = wheel_file_path(spec.source, model_dir=model_dir)
    fetch = f"guanwu models fetch {spec.id}"
    if converted_folder(spec, model_dir=model_dir).exists():
        return None  # loading tells whether it is whole
    if not path.exists():
        return warning(SUBJECT, f"{spec.id} is not on this machine yet", remedy=f"run {fetch}")
    pinned = spec.source.file_sha256
    if pinned is not None and (sha256 := sha256_of(path)) != pinned:
        return problem(
            SUBJECT,
            f"{spec.id}: {path} is damaged (sha256 {sha256[:12]}…, should be {pinned[:12]}…)",
            remedy=f"delete it and run {fetch}; if it comes again, check the disk",
        )
    return None


def _of_run(engine: Engine, spec: ModelSpec) -> Finding:
    try:
        model = engine.model(spec.id)
        trial = check(model)
    except GuanwuError as exc:
        remedy = f"look with guanwu models check {spec.id}; fetch or copy its files again"
        return problem(SUBJECT, f"{spec.id}: {exc.message}", remedy=remedy)
    digest = model.weights_sha256[:12]
    return Finding(SUBJECT, f"{spec.id}: sha256 {digest}…, {trial.forward_ms:.0f} ms forward")
