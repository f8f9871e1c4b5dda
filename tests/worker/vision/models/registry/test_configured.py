"""Models of one's own in a TOML file: what is said of them holds, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.worker.vision.models.tiny import clip
from worker.contract.errors import SettingsInvalid
from worker.contract.settings.environment import load
from worker.inference.engine_factory import make_engine
from worker.vision.models.families.clip import ZeroShotTransformer
from worker.vision.models.registry.configured import read
from worker.vision.models.registry.specs import register_models

WHOLE = """
[reader]
source = "hub:org/reader@abc"
family = "clip"
labels = "imagenet1k"
language = "en"
sentences = ["a satellite image of {}", "{} from above"]

[seer]
source = "path:/m/seer"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_names_models_and_their_families(tmp_path: Path) -> None:
    specs = register_models(read(written(tmp_path, WHOLE)))
    assert (specs["reader"].family, specs["reader"].revision) == ("clip", "abc")
    assert (specs["seer"].family, specs["seer"].revision) == ("vit", "local")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[a", "cannot be read"),
        ('[a]\nfamily = "vit"', r"\[a\].*source"),
        ('[a]\nsource = "pypi:x"', r"\[a\].*source"),
        ('[a]\nsource = "path:/x"\nfamily = "rnn"', r"\[a\].*family"),
        ('[a]\nsource = "path:/x"\nlabels = "wanwu"', r"\[a\].*family = .clip."),
        ('[a]\nsource = "path:/x"\nfamily = "clip"\nlabels = "pets"', "there is imagenet1k"),
        ('[a]\nsource = "path:/x"\nwhole_picture = true', r"\[a\].*family = .vit."),
        ('[a]\nsource = "path:/x"\nfamily = "clip"\nsentences = ["a cat"]', r"sentences\.0"),
        ('[a]\nsource = "path:/x"\nfamily = "clip"\nsentences = ["{} {0}"]', r"sentences\.0"),
        ('[a]\nsource = "path:/x"\ncolour = "red"', r"\[a\].*colour"),
        ('["a b"]\nsource = "path:/x"', r"\[a b\].*id"),
        ('a = "path:/x"', r"\[a\]"),
    ],
)
def test_what_is_wrong_in_a_file_stops_the_start_and_is_named(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(SettingsInvalid, match=named):
        read(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"none\.toml"):
        read(tmp_path / "none.toml")


def test_what_is_said_of_a_model_that_reads_text_holds(tmp_path: Path) -> None:
    torch.manual_seed(2)
    folder = clip.chinese_clip(tmp_path / "reader")
    text = f"""
        [reader]
        source = "path:{folder}"
        family = "clip"
        labels = "imagenet1k"
        language = "en"
        sentences = ["{{}} from above"]
    """
    own = {"GUANWU_MODELS_FILE": str(written(tmp_path, text)), "GUANWU_DEFAULT_MODELS": "reader"}
    engine = make_engine(load({**own, "GUANWU_MODEL_DIR": str(tmp_path)}), device="cpu")
    model = engine.model("reader")
    assert isinstance(model, ZeroShotTransformer)
    assert model.labels is not None
    assert (model.labels.id, model.texts.language) == ("imagenet1k", "en")
    dog = model.labels.find("golden retriever")
    expected = model.texts.of_phrase(f"{model.labels.en[dog]} from above")[0]
    assert torch.allclose(model.network.get_buffer("texts")[dog], expected, atol=1e-5)


def test_a_model_is_named_once(tmp_path: Path) -> None:
    path = written(tmp_path, '[seer]\nsource = "path:/m/seer"')
    twice = {"GUANWU_MODELS_FILE": str(path), "GUANWU_MODELS": "seer=path:/other"}
    with pytest.raises(SettingsInvalid, match="both name 'seer'"):
        make_engine(load(twice), device="cpu")
