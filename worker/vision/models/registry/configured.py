"""A deployment's own models, from settings or a TOML file.

[chinese-clip]
source = "hub:org/chinese-clip@0123abcd"
family = "clip"          # where the files do not tell it, or are still to be fetched
labels = "imagenet1k"    # of what reads text: the label set it is asked where a job names none
language = "zh"          # of what reads text: which of a label's names it reads, zh or en
sentences = ["{}的卫星图像"]  # of what reads text: what a name is read in; {} stands for it

[vit]
source = "path:/models/vit"
family = "vit"
whole_picture = true     # of family vit: at its own aspect, where the checkpoint crops or squeezes
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.contract.errors import ModelUnavailable, SettingsInvalid
from worker.contract.settings.values import MODEL_ID
from worker.vision.labels.shipped import label_sets
from worker.vision.models.registry.families import FAMILIES, READS_TEXT

Language = Literal["zh", "en"]
"""Of a label's names."""


def _loadable(family: str) -> str:
    try:
        FAMILIES.find(family)
    except ModelUnavailable as exc:
        raise ValueError(exc.message) from exc
    return family


def _shipped(set_id: str) -> str:
    if set_id not in label_sets():
        raise ValueError(f"no label set {set_id!r} ships; there is {', '.join(label_sets())}")
    return set_id


def _around_a_name(sentence: str) -> str:
    if sentence.count("{}") != 1 or sentence.count("{") != 1 or sentence.count("}") != 1:
        raise ValueError(f"{sentence!r}: write {{}} once, where the name stands")
    return sentence


class ConfiguredModel(BaseModel):
    """One model of a deployment's own. What is None the files tell, or the family."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(pattern=r"^(hub|path):.+$")]
    family: Annotated[str, AfterValidator(_loadable)] | None = None
    labels: Annotated[str, AfterValidator(_shipped)] | None = None
    language: Language | None = None
    sentences: tuple[Annotated[str, AfterValidator(_around_a_name)], ...] | None = Field(
        None, min_length=1, max_length=100
    )

    whole_picture: bool = False

    @model_validator(mode="after")
    def _of_its_family(self) -> Self:
        fields = READS_TEXT | {"whole_picture"}
        named = {name for name in fields if getattr(self, name)}
        read = FAMILIES.find(self.family).fields if self.family else frozenset()
        for name in sorted(named - read):
            families = [
                f'"{id_}"' for id_, part in FAMILIES.usable().items() if name in part.fields
            ]
            raise ValueError(f"{name} is of family = {' or '.join(families)}; name it")
        return self


def read(path: Path) -> dict[str, ConfiguredModel]:
    """The models of a TOML file, by id.

    Raises:
        SettingsInvalid: no such file, no TOML, or a model that cannot be understood; the
            message names the model and the field.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsInvalid(f"GUANWU_MODELS_FILE: {path} cannot be read: {exc}") from exc
    return {name: _model(path, name, table) for name, table in tables.items()}


def _model(path: Path, name: str, table: Any) -> ConfiguredModel:
    try:
        if not MODEL_ID.fullmatch(name):
            raise ValueError("an id has up to 128 letters, digits, '_', '.' and '-'")
        return ConfiguredModel.model_validate(table)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        reason = f"{field}: {first['msg']}" if field else first["msg"]
        raise SettingsInvalid(f"GUANWU_MODELS_FILE: [{name}] in {path}: {reason}") from exc
    except ValueError as exc:
        raise SettingsInvalid(f"GUANWU_MODELS_FILE: [{name}] in {path}: {exc}") from exc
