"""Docstrings say what a thing is or does; a module's first sentence has at most 14 words."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from tests.house.source import PRODUCT, ROOT, Module, modules

MAX_WORDS = 14
RIDDLES = ("What", "Which", "Where", "How", "Who")
PRIVATE = re.compile(r"\b(of whom|so many|lies|stands|told|by itself)\b")
"""Words with a plainer one: `is`, `stored`, `given`, a number."""
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.:;?](?=\s|$)|\n\s*\n")


@pytest.mark.parametrize("folder", PRODUCT)
def test_docstrings_name_their_subject_in_a_short_sentence(folder: str) -> None:
    faults = [f"{m.path}: {fault}" for m in modules(folder) if (fault := fault_of(m))]
    assert not faults, "\n".join([f"{len(faults)} modules:", *faults])


@pytest.mark.parametrize("folder", PRODUCT)
def test_docstrings_of_classes_and_functions_are_no_riddles(folder: str) -> None:
    faults = [
        f"{module.path}: {name}: {text.splitlines()[0]}"
        for module in modules(folder)
        for name, text in module.docstrings()
        if text.split()[0].strip(",'") in RIDDLES and text not in published_texts()
    ]
    assert not faults, "\n".join([f"{len(faults)} docstrings begin with {RIDDLES}:", *faults])


@cache
def published_texts() -> frozenset[str]:
    """Texts for clients in the agreed OpenAPI document, which change with it alone: docstrings
    of models are descriptions there, and those of errors are titles of problems."""
    text = (ROOT / "tests/api/openapi.json").read_text()
    schemas = json.loads(text)["components"]["schemas"]
    titles = {f"{title}." for title in re.findall(r'"title": "([^"]+)"', text)}
    return frozenset(schema.get("description", "") for schema in schemas.values()) | titles


def fault_of(module: Module) -> str | None:
    """The reason why a module's docstring is not one, or None."""
    if module.path.endswith("/__init__.py") and module.is_empty:
        return None
    if not module.docstring:
        return "no docstring"
    sentence = first_sentence(module.docstring)
    words = sentence.split()
    if words[0].strip(",'") in RIDDLES:
        return f"begins with {words[0]!r}: {sentence}"
    if found := PRIVATE.search(sentence):
        return f"says {found.group()!r}: {sentence}"
    if len(words) > MAX_WORDS:
        return f"{len(words)} words: {sentence}"
    return None


def first_sentence(docstring: str) -> str:
    """The text to the first full stop, question mark, colon or semicolon, or to the end of its
    paragraph: what follows a colon explains, as in "Finalize a job: write its files, then ..."."""
    end = _END.search(docstring)
    return docstring[: end.start()] if end else docstring


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Redis keys, e.g. of jobs. And more.", "Redis keys, e.g. of jobs"),
        ("Polling: state ids and pauses.", "Polling"),
        ("`worker/x.py` in short", "`worker/x.py` in short"),
        ("Over two\nlines\n\nand a paragraph", "Over two\nlines"),
    ],
)
def test_a_sentence_ends_at_its_stop(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence
