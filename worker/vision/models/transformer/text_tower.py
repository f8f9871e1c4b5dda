"""Text embeddings of names and phrases by a CLIP-type model, cached by label set.

A label is embedded in several sentences and the mean taken, as in section 3.1.4 of Radford et
al. 2021, "Learning Transferable Visual Models From Natural Language Supervision". Sets are kept
on disk by weights, names and sentences: a vocabulary of thousands costs its minutes once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer

from guanwu.wire.label_sets import is_of_client
from worker.contract.errors import CheckpointInvalid
from worker.contract.label_set import WORDS, LabelSet
from worker.vision.explain.unit_length import UnitLength
from worker.vision.models.registry.configured import Language
from worker.vision.models.weights.cache import Progress, cache_dir, cached

SENTENCES: dict[Language, tuple[str, ...]] = {
    "zh": ("{}", "一张{}的照片", "图中有{}", "{}的图片"),
    "en": ("{}", "a photo of a {}", "a picture of the {}", "there is a {} in the photo"),
}
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")
DEFAULT_LABELS = "wanwu"
BATCH = 64
MOST_SETS = 16  # in memory; 1,000 words of 512 channels have 2 MB
MOST_OF_CLIENTS = 64  # sets of clients and words of jobs on disk
WORTH_KEEPING = 256  # labels: fewer are made again in no time
_EMBEDDINGS = "texts"


@dataclass(kw_only=True)
class TextTower:
    """The text half of a model and what it was asked so far. Of the model thread.

    Attributes:
        language: of the names that a label set is embedded by.
        sentences: what a name is read in.
        weights_sha256: of the whole model.
    """

    towers: Any  # a PreTrainedModel
    tokenizer: Any
    language: Language
    sentences: tuple[str, ...]
    weights_sha256: str
    model_dir: Path | None
    progress: Progress
    _known: OrderedDict[str, Tensor] = field(default_factory=OrderedDict)

    def of_labels(self, labels: LabelSet) -> Tensor:
        """One unit vector a label: float32 (labels, channels), on the model's device."""
        known = self._known.get(labels.digest)
        if known is None:
            known = self._kept(labels) if len(labels) >= WORTH_KEEPING else self._made(labels)
            known = known.to(self.towers.device)
            self._known[labels.digest] = known
            if len(self._known) > MOST_SETS:
                self._known.popitem(last=False)
        self._known.move_to_end(labels.digest)
        return known

    @torch.no_grad()
    def of_phrase(self, text: str) -> Tensor:
        """The unit vector of a text as it is: float32 (1, channels)."""
        return self._embedded([text])

    def _kept(self, labels: LabelSet) -> Tensor:
        sentences = "\n".join((self.language, *self.sentences))
        made_of = f"{self.weights_sha256} {labels.digest} {sentences}"
        name = hashlib.sha256(made_of.encode()).hexdigest()[:32]

        def make(part: Path) -> None:
            self.progress(f"reading the {len(labels):,} labels of {labels.id}")
            save_file({_EMBEDDINGS: self._made(labels).cpu()}, part)

        folder = cache_dir(self.model_dir) / ("texts" if _is_ours(labels) else "texts-of-clients")
        path = cached(folder / f"{name}.safetensors", make, progress=self.progress)
        try:
            kept = load_file(path)[_EMBEDDINGS]
        except FileNotFoundError:  # another worker has made room
            return self._made(labels)
        if not _is_ours(labels):
            _make_room(path)
        return kept

    @torch.no_grad()
    def _made(self, labels: LabelSet) -> Tensor:
        names = labels.zh if self.language == "zh" else labels.en
        total = torch.stack(
            [
                self._embedded([sentence.format(name) for name in names])
                for sentence in self.sentences
            ]
        ).sum(0)
        mean: Tensor = UnitLength()(total)
        return mean

    def _embedded(self, texts: Sequence[str]) -> Tensor:
        parts = [
            self._features(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)
        ]
        embedded: Tensor = UnitLength()(torch.cat(parts))
        return embedded

    def _features(self, texts: Sequence[str]) -> Tensor:
        config = self.towers.config
        positions = config.text_config.max_position_embeddings
        fixed = config.model_type.startswith("siglip")  # trained with padding, without a mask
        tokens = self.tokenizer(
            list(texts),
            padding="max_length" if fixed else True,
            truncation=True,
            max_length=min(positions, self.tokenizer.model_max_length),
            return_tensors="pt",
        ).to(self.towers.device)
        if fixed:
            tokens = {"input_ids": tokens["input_ids"]}
        features: Tensor = self.towers.get_text_features(**tokens).pooler_output
        return features.float()


def tokenizer_of(folder: Path) -> Any:
    """A checkpoint's tokenizer.

    Raises:
        CheckpointInvalid: the folder has none.
    """
    # without any file transformers makes a tokenizer that knows no word, in silence
    vocabularies = [name for name in VOCABULARIES if (folder / name).is_file()]
    try:
        if not vocabularies:
            raise FileNotFoundError(", ".join(VOCABULARIES))
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as exc:  # transformers and tokenizers each raise their own
        raise CheckpointInvalid(
            f"{folder.name} has no tokenizer that transformers can load; copy its tokenizer "
            "files (tokenizer.json, or vocab.txt, ...) beside config.json"
        ) from exc


def _is_ours(labels: LabelSet) -> bool:
    """Of the models; clients make sets without end."""
    return labels.id != WORDS and not is_of_client(labels.id)


def _make_room(used: Path) -> None:
    """Delete what lies beside `used` but for the files used last."""
    with contextlib.suppress(OSError):  # another worker does the same, or nobody may write
        os.utime(used)
        files = sorted(used.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST_OF_CLIENTS]:
            file.unlink()
