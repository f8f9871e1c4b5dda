"""Texts of the endpoints of the catalogue."""

from __future__ import annotations

MODELS = """\
What running workers offer, or offered last. Options of new jobs are checked against it, and
labels they name against those of the label sets.
Empty until a first worker has started.
"""
LABELS = """\
For type-ahead. `q` is part of a Chinese name, the beginning of an English word, or pinyin
without tones, in full (`xiongmao`) or its initials (`xm`). Labels that are called so come first,
then those that begin so, then those that have it inside; shorter names before longer ones.
"""
