"""Reuse of earlier results: Argo's memoization with keys that are legal and say what the result depends on.

Rules this module keeps, all of which Argo finds only at run time or not at all (Argo 4.1.2,
workflow/controller/cache): a key matches ``^[a-zA-Z0-9][-a-zA-Z0-9]*$``; ``maxAge`` is a Go duration, which
has no days; one ConfigMap holds at most 1 MiB, so each cached template has its own; a hit does not check that
what it points to still exists (the local engine does).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from tiphys.argo.cache_mode import NOTHING_EARLIER, CacheMode
from tiphys.compiler.line import Site, caller
from tiphys.dsl.durations import go_duration
from tiphys.dsl.files import digest_key
from tiphys.dsl.literals import expression_of_text, literal
from tiphys.dsl.policies import NONE, Conditions
from tiphys.dsl.types import Field
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.expr.durations import parse_go
from tiphys.reference import Reference

__all__ = ["Cache", "content_of", "environment_parts", "in_use", "key_expression"]

KEY_DIGITS = 32
_KEYED = (
    "-[0-9a-f]{" + str(KEY_DIGITS) + '}("})?$'
)  # a folder with the name of a key, bare or in the JSON form
_WORD = re.compile(r"[\w.\[\]'-]+")


@dataclass(frozen=True, slots=True)
class Cache:
    """When an earlier result may stand in for a run: by content, by age, never, or after a refresh; ``&`` adds another
    of them, or conditions (:func:`tiphys.while_metric`, :func:`tiphys.unless_data`, :func:`tiphys.while_intact`)."""

    max_age: str
    code: bool
    single_flight: bool
    version: str
    ignore: frozenset[str]
    site: Site
    mode: CacheMode = "auto"
    conditions: Conditions = NONE

    @classmethod
    def by_content(
        cls,
        max_age: str | timedelta | None = None,
        *,
        single_flight: bool = True,
        version: str = "",
        ignore: Iterable[str] = (),
    ) -> Cache:
        """Reuse a result made by the same code and image from the same inputs.

        A :class:`tiphys.Reference` counts by its digest, so data that moved is still the same data.
        ``max_age`` is ``"14d"``, ``"36h"`` or a timedelta; None keeps results for ever. With
        ``single_flight`` equal executions wait for each other, so that ten of them compute once. ``version``
        is hashed too: change it to start afresh. ``ignore`` names inputs that do not change the result.
        """
        return cls._make(max_age, True, single_flight, version, ignore)

    @classmethod
    def by_age(
        cls,
        max_age: str | timedelta,
        *,
        single_flight: bool = True,
        version: str = "",
        ignore: Iterable[str] = (),
    ) -> Cache:
        """Reuse the pipeline's last result for the same inputs while it is younger than ``max_age``, whatever the
        code is. A step of the same name in another pipeline has results of its own.
        """
        return cls._make(max_age, False, single_flight, version, ignore)

    @classmethod
    def never(cls) -> Cache:
        """No earlier result is read and none is stored: the same as no cache, said aloud."""
        return replace(cls._make(None, True, True, "", ()), mode="never")

    @classmethod
    def refresh(cls, *, single_flight: bool = True, version: str = "", ignore: Iterable[str] = ()) -> Cache:
        """No result from before the run is read, and what is computed is stored as by :meth:`by_content`."""
        return replace(cls._make(None, True, single_flight, version, ignore), mode="refresh")

    def __and__(self, other: object) -> Cache:
        """Both must allow it. Raises DefinitionError (TIP125) for what contradicts."""
        if not isinstance(other, (Cache, Conditions)):
            return NotImplemented
        modes = [self.mode, other.mode if isinstance(other, Cache) else "auto"]
        if modes != ["auto", "auto"]:
            chosen = next(mode for mode in modes if mode != "auto")
            raise DefinitionError(
                "TIP125",
                f"Cache.{chosen}() and when an earlier result may be taken contradict each other",
                where=str(caller()),
                cause=f"with Cache.{chosen}() none is ever taken",
                fix=f"leave Cache.{chosen}() out; for one run there is tiphys run --cache {chosen}",
            )
        if isinstance(other, Conditions):
            return replace(self, conditions=self.conditions & other)
        ages = [age for age in (self.max_age, other.max_age) if age]
        return replace(
            self,
            max_age=min(ages, key=parse_go, default=""),
            code=self.code or other.code,
            single_flight=self.single_flight and other.single_flight,
            version="+".join(version for version in (self.version, other.version) if version),
            ignore=self.ignore | other.ignore,
            conditions=self.conditions & other.conditions,
        )

    def __rand__(self, other: object) -> Cache:
        if not isinstance(other, Conditions):
            return NotImplemented
        return replace(self & other, conditions=other & self.conditions)

    @property
    def age(self) -> str:
        """What Argo's ``maxAge`` says."""
        return NOTHING_EARLIER if self.mode == "refresh" else self.max_age

    @classmethod
    def _make(
        cls,
        max_age: str | timedelta | None,
        code: bool,
        single_flight: bool,
        version: str,
        ignore: Iterable[str],
    ) -> Cache:
        site = caller()
        names = frozenset([ignore] if isinstance(ignore, str) else ignore)
        return cls(go_duration(max_age, "max_age", site), code, single_flight, version, names, site)

    def keyed(self, inputs: Iterable[Field], owner: str) -> list[Field]:
        """The inputs that count. Raises DefinitionError (TIP103) for an unknown name in ``ignore``."""
        known = list(inputs)
        names = [f.python for f in known]
        for name in sorted(self.ignore):
            if name not in names:
                raise DefinitionError(
                    "TIP103",
                    f"the cache of {owner} ignores {name!r}, not an input.{did_you_mean(name, names)}",
                    where=str(self.site),
                    fix=f"inputs are: {', '.join(names) or 'none'}",
                )
        judged = self.conditions.judged
        return [f for f in known if f.python not in self.ignore and not {f.python, f.name} & judged]

    def check_arguments(self, fields: Iterable[Field], arguments: Mapping[str, object], owner: str) -> None:
        """Refuse (TIP128) a reference that is written without its digest: with this cache it would never be a hit."""
        for field in self.keyed(fields, owner) if self.code else ():
            value = arguments.get(field.name)
            if field.type is not Reference or not isinstance(value, str) or "{{" in value:
                continue
            reference = Reference.maybe(value)
            if reference is not None and not reference.digest and not re.search(_KEYED, value):
                raise DefinitionError(
                    "TIP128",
                    f"{owner} has a cache by content, and its input {field.python} is {reference.uri} without a digest",
                    where=str(self.site),
                    cause="the name of a folder says nothing of what is in it, so no result could be reused",
                    fix="take the reference from the step that makes the data, give its digest: "
                    f'Reference("{reference.uri}", "sha256:…"), or say ignore=["{field.python}"]',
                )

    def salt(self, step: str, code: str) -> str:
        """What is hashed besides the inputs: the code's digest, or ``PIPELINE/TEMPLATE`` for ``by_age``."""
        return (code if self.code else step) + (f"@{self.version}" if self.version else "")


def in_use(cache: Cache | None) -> Cache | None:
    """The cache, or None for one that never reads nor stores."""
    return None if cache is None or cache.mode == "never" else cache


def content_of(field: Field, expression: str, *, by_name: bool = False) -> str:
    """How an input counts in a key: a Reference by its digest, everything else by its text.

    A reference without a digest says nothing of what is there, so it counts as this run's own: the key is legal, and
    no other run has it. A folder that a key has named (a training's) counts by that name. With ``by_name`` any does.
    """
    if field.is_file:
        return digest_key(field)
    if field.type is not Reference:
        return expression
    text = expression if _WORD.fullmatch(expression) else f"({expression})"
    known = f"({text} startsWith '{{' && (fromJSON({text}).digest ?? '') != ''"
    if by_name:
        return f"{known} ? fromJSON({text}).digest : {text})"
    unknown = (
        f"{text} matches {literal(_KEYED)} || {text} in ['', 'null'] ? {text} : {text} + '@' + workflow.uid"
    )
    return f"{known} ? fromJSON({text}).digest : {unknown})"


def environment_parts(env: Mapping[str, str], *, keep: str = "") -> list[str]:
    """How the environment that the author gives counts in a key: by name and value; nothing when there is none."""
    pairs = [f"{literal(name)}, {expression_of_text(env[name], keep=keep)}" for name in sorted(env)]
    return ["['env', " + ", ".join(pairs) + "]"] if pairs else []


def key_expression(prefix: str, salt: str, parts: Iterable[str]) -> str:
    """An expression whose value is a legal key: ``prefix`` (itself an expression) and 32 hex digits."""
    hashed = ", ".join([literal(salt), *parts])
    return f"{prefix} + sprig.trunc({KEY_DIGITS}, sprig.sha256sum(toJson([{hashed}])))"
