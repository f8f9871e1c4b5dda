"""Tables of parts: built-in ones, and plug-ins found by entry points.

A deployment's own package adds a part with an entry point and no edit here. An entry point is
known by its name at first, and its module is imported when the part is asked for, so a broken
plug-in costs nothing but itself. Safe from any thread.
"""

from __future__ import annotations

import logging
import pkgutil
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from worker.contract.errors import ModelUnavailable

log = logging.getLogger(__name__)

PLUGIN_ID = re.compile(r"[a-z][a-z_]{1,31}")
"""Ids of plug-ins: `options.explain.method` takes no others."""

Part = TypeVar("Part")


class PluginTable(Generic[Part]):
    """Parts of one kind by id, in the order in which they are considered: built-in ones first.

    Args:
        group: of the entry points; each loads one `kind`.
        built_in: no plug-in replaces these.
    """

    def __init__(self, group: str, kind: type[Part], built_in: Mapping[str, Part]) -> None:
        self.group = group
        self.built_in = built_in
        self._kind = kind
        self._loaded: dict[str, Part] = {}
        self._failed: dict[str, ModelUnavailable] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of all parts; imports no plug-in."""
        return (*self.built_in, *(name for name in self._plugins if name not in self.built_in))

    def find(self, name: str) -> Part:
        """One part; imports its plug-in if it has not been imported.

        Raises:
            ModelUnavailable: there is none of this name, or its plug-in does not load; the
                message names its distribution and entry point.
        """
        if name in self.built_in:
            return self.built_in[name]
        if name in self._failed:
            raise self._failed[name].with_traceback(None)
        if name not in self._loaded:
            try:
                self._loaded[name] = self._load(name)
            except ModelUnavailable as exc:
                self._failed[name] = exc  # its module is not run again for each picture
                raise
        return self._loaded[name]

    def usable(self) -> Mapping[str, Part]:
        """All parts that load, by id; the log warns once of each plug-in that does not.

        Plug-ins are tried at the first call, and never again: this is asked for each picture.
        """
        return self._usable

    @cached_property
    def _usable(self) -> Mapping[str, Part]:
        parts = dict(self.built_in)
        for name, plugins in self._plugins.items():
            try:
                if name in self.built_in:
                    raise ModelUnavailable(f"{_described(plugins)}: {name!r} is built in")
                parts[name] = self.find(name)
            except ModelUnavailable as exc:
                log.warning("%s; it is left out", exc.message)
        return parts

    def origin(self, name: str) -> str | None:
        """The distribution and entry point of a plug-in, for messages; None if it is built in."""
        return None if name in self.built_in else _described(self._plugins.get(name, []))

    def resolve(self, name: str, reference: str) -> Any:
        """The function that a part names as `module:function`.

        Raises:
            ModelUnavailable: it is not there; the message names the plug-in.
        """
        try:
            return pkgutil.resolve_name(reference)
        except Exception as exc:  # a plug-in's module may raise anything
            if (origin := self.origin(name)) is None:
                raise
            raise ModelUnavailable(f"{origin}: {reference} does not load: {_reason(exc)}") from exc

    @cached_property
    def _plugins(self) -> Mapping[str, list[EntryPoint]]:
        plugins: dict[str, list[EntryPoint]] = defaultdict(list)
        for point in entry_points(group=self.group):
            plugins[point.name].append(point)
        return dict(plugins)

    def _load(self, name: str) -> Part:
        plugins = self._plugins.get(name)
        if plugins is None:
            raise ModelUnavailable(
                f"{self.group} has no {name!r}; there is {', '.join(self.names)}"
            )
        described = _described(plugins)
        if len(plugins) > 1:
            raise ModelUnavailable(f"{described}: installed twice; uninstall one")
        if not PLUGIN_ID.fullmatch(name):
            raise ModelUnavailable(f"{described}: a name has 2 to 32 letters a to z and _")
        try:
            part = plugins[0].load()
        except Exception as exc:  # a plug-in's module may raise anything
            raise ModelUnavailable(f"{described} does not load: {_reason(exc)}") from exc
        if not isinstance(part, self._kind):
            raise ModelUnavailable(
                f"{described} is a {type(part).__name__}, not a {self._kind.__name__}"
            )
        return part


def _described(plugins: list[EntryPoint]) -> str:
    return " and ".join(
        f"plug-in {point.group} {point.name!r} of "
        f"{f'{point.dist.name} {point.dist.version}' if point.dist else 'no distribution'}"
        for point in plugins
    )


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
