"""Reproduce: run again what a run was, from nothing, and compare everything that came of it.

The same Workflow, name and parameters, in a store of its own: no earlier result is taken, and every place that a step
writes to is empty. What the run was given that no step of it made is copied there. Compared are the digests of what
was made, the outputs and the phases; what a run is made from (code, lock file, commit, environment) is compared, too,
and told as the reason.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.base.options import RunOptions
from tiphys.engine.runtime.facts import remembered
from tiphys.engine.runtime.run import Run
from tiphys.engine.runtime.stored import Record
from tiphys.errors import RefusedError, StoreError
from tiphys.lazy import regex
from tiphys.records.diff import unequal
from tiphys.records.fold import fold
from tiphys.records.record import RunRecord, StepRecord
from tiphys.reference import MANIFEST, Reference, contents, file_digest, references, resolve, verify
from tiphys.runs.made_from import ENVIRONMENTS, annotated
from tiphys.store import Store
from tiphys.store.files import clear, remove

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["Deviation", "Reproduction", "again", "compare", "prepare"]

MEASURED = regex(
    r"(^|[_-])(seconds|time|times|at|url|urls|host|port|started|finished|memory|per[_-]second)($|[_-])"
)
"""Names of outputs that tell how it went, not what came of it: they differ from run to run and are not compared."""
_FOLDER = "reproduced"
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Deviation:
    """``what``: ``phase``, ``artifact``, ``output``, ``parameter``, or a part of what the run is made from (``code``);
    ``name``: the step and what of it, the parameter, or that part. ``result``: it is what came of the run, else a
    reason for that."""

    what: str
    name: str
    before: str
    now: str

    @property
    def result(self) -> bool:
        return self.what in ("phase", "artifact", "output")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """``equal``: the artifacts, by step and place, that have the same digest; ``folder``: the store of the second
    run."""

    name: str
    folder: Path
    equal: Mapping[str, str]
    differences: tuple[Deviation, ...]

    @property
    def same(self) -> bool:
        """Whether all that came of it is the same; what it was made from may be another."""
        return not any(each.result for each in self.differences)


def prepare(name: str, options: RunOptions, into: Path | None = None) -> tuple[Run, Path]:
    """The run that reproduces the run ``name`` of ``options.store``: ``execute()`` it; and the store that it is in.

    One that was interrupted goes on where it stood.

    Raises
    ------
    RefusedError
        TIP211: there is no such run; TIP438: it has not ended, or did not succeed; TIP439: what it was given is not
        there any more, or is not what it was.
    """
    store = Store(options.store)
    with Record(store, name, reading=True) as record:
        facts = record.begun().revealed(record.folder, options.secrets)
        before = record.workflow()
        ended = record.state == "ended"
    if not ended or before["status"].get("phase") != "Succeeded":
        raise RefusedError(
            "TIP438",
            f"the run {name!r} has not succeeded: there is nothing to reproduce",
            cause=f"it is {before['status'].get('phase', 'Pending') if ended else 'not at its end'}",
            fix=f"tiphys get {name} --store {store.root} tells how it stands",
        )
    target = Store(into or store.root / _FOLDER / name)
    chosen = replace(options, store=target.root, name=facts.name)
    if target.has_run(facts.name):
        with Record(target, facts.name, reading=True) as record:
            state = record.state
        if state == "killed":
            return Run.load(facts.name, options=chosen), target.root
        if state == "running":
            raise RefusedError(
                "TIP210",
                f"{name!r} is being reproduced by another process",
                where=str(target.root),
                fix="wait for its end, or give another folder with --into",
            )
        _empty(target)
    _bring(fold(before), store, target)
    project = facts.options.get("project") or ""
    fresh = replace(
        facts,
        workflow=annotated(facts.workflow, Path(project) if project else None, target),
        uid=str(uuid.uuid4()),
        now=time.time(),
        begun=None,
        earlier=None,
        retries=0,
        options=remembered(replace(facts.recalled(chosen), keep_serving=False)),
    )
    return Run.of(fresh, chosen, resumed=False), target.root


def again(name: str, before: Workflow, now: Workflow, store: Store, folder: Path) -> Reproduction:
    """The comparison of a run of ``store`` with its second, which is in the store ``folder``."""
    first = _with_digests(fold(before, key=name), store)
    second = _with_digests(fold(now), Store(folder))
    differences = tuple(
        replace(each, before=told[0], now=told[1])
        if each.what == "environment" and (told := packages(store, each.before, folder, each.now))
        else each
        for each in compare(first, second)
    )
    other = {each.name for each in differences if each.what == "artifact"}
    equal = {
        f"{step.name}: {item.uri}": item.digest
        for step in first.steps
        for item in step.makes
        if item.digest and f"{step.name}: {item.uri}" not in other
    }
    return Reproduction(name, folder, equal, differences)


def compare(first: RunRecord, second: RunRecord) -> Iterator[Deviation]:
    """What differs: first what the runs are made from, then what came of them, step by step."""
    for each in unequal("made from", first.made_from, second.made_from):
        yield Deviation(
            each.name, each.name, str(each.left or "(not known)"), str(each.right or "(not known)")
        )
    for each in unequal("parameters", first.parameters, second.parameters):
        yield Deviation("parameter", each.name, _brief(each.left or ""), _brief(each.right or ""))
    if first.phase != second.phase:
        yield Deviation("phase", first.name, first.phase, second.phase)
    there = {step.name: step for step in second.steps}
    for step in first.steps:
        other = there.pop(step.name, None)
        if other is None:
            yield Deviation("phase", step.name, step.phase, "(not there)")
            continue
        yield from _of_step(step, other)
    for step in there.values():
        yield Deviation("phase", step.name, "(not there)", step.phase)


def packages(store: Store, before: str, folder: Path, now: str) -> tuple[str, str] | None:
    """What differs between two environments, whose lists the stores keep; None where one of them is not there."""
    try:
        listed = [
            set(contents(root / ENVIRONMENTS / f"{name}.txt").decode().split())
            for root, name in ((store.root, before), (folder, now))
        ]
    except (OSError, ValueError):
        return None
    return _brief(" ".join(sorted(listed[0] - listed[1]))), _brief(" ".join(sorted(listed[1] - listed[0])))


def _of_step(first: StepRecord, second: StepRecord) -> Iterator[Deviation]:
    if first.phase != second.phase:
        yield Deviation("phase", first.name, first.phase, second.phase)
        return
    made = {item.uri: item.digest for item in second.makes}
    for item in first.makes:
        if item.uri not in made:
            yield Deviation("artifact", f"{first.name}: {item.uri}", item.digest, "(not made)")
        elif item.digest != made[item.uri]:
            yield Deviation("artifact", f"{first.name}: {item.uri}", item.digest, made[item.uri])
    for name in sorted({*first.outputs, *second.outputs}):
        if MEASURED.search(name):
            continue
        before, now = first.outputs.get(name, ""), second.outputs.get(name, "")
        if any(True for _ in references(before)) and not before.startswith("{"):
            continue  # a place, compared above
        if _kept(before) != _kept(now):
            yield Deviation("output", f"{first.name}: {name}", *_shown(_kept(before), _kept(now)))


def _kept(text: str) -> object:
    """A value without what was measured in it, at any depth."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return _without(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _without(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if not MEASURED.search(str(key))}
    if isinstance(value, list):
        return [_without(inner) for inner in value]
    return value


def _shown(before: object, now: object) -> tuple[str, str]:
    """The two, or of two objects the parts that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        before, now = ({key: each.get(key) for key in names} for each in (before, now))
    return _brief(before), _brief(now)


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _with_digests(record: RunRecord, store: Store) -> RunRecord:
    """The record with the digests of what is in the volumes, where no step told them."""
    volumes = store.volumes()

    def digest(uri: str) -> str:
        try:
            return file_digest(resolve(uri, volumes) / MANIFEST)
        except (StoreError, OSError):  # it is in no volume, is gone, or is no folder: then it has none
            return ""

    steps = tuple(
        replace(
            step,
            makes=tuple(
                item if item.digest else replace(item, digest=digest(item.uri)) for item in step.makes
            ),
        )
        for step in record.steps
    )
    return replace(record, steps=steps)


def _bring(record: RunRecord, store: Store, target: Store) -> None:
    """Copy into the other store what the run was given that none of its steps made."""
    volumes = store.volumes()
    made = {item.uri for step in record.steps for item in step.makes}
    given = {item.uri: item.digest for step in record.steps for item in step.uses}
    given |= {each.uri: each.digest for text in record.parameters.values() for each in references(text)}
    for uri, digest in sorted(given.items()):
        if not uri.startswith("pvc://") or uri in made:
            continue
        problem = verify(Reference(uri, digest), volumes) if digest else ""
        source = resolve(uri, volumes) if not problem else Path()
        if problem or not source.exists():
            raise RefusedError(
                "TIP439",
                f"what the run {record.key!r} was given is not what it was: {problem or uri + ' is missing'}",
                fix="put it back as it was; `tiphys lineage` tells where it came from",
            )
        claim = uri.removeprefix("pvc://").partition("/")[0]
        place = target.volume(claim) / source.relative_to(volumes[claim])
        with clear(place, "copy"):
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, place)


def _empty(store: Store) -> None:
    for folder in ("runs", "volumes", "artifacts"):
        remove(store.root / folder)
    for file in store.root.glob("cache.db*"):
        file.unlink(missing_ok=True)
