"""Lineage: what a thing came from, up to code, lock file and commit, and what came of it, down to reports and services.

A graph of things (artifacts, steps, runs, …), drawn from the edges that the index knows. Artifacts of this machine's
volumes are looked at, so that what is gone or was changed since is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tiphys.errors import RefusedError, StoreError, did_you_mean
from tiphys.records.record import SAMPLED, ArtifactRecord, RunRecord, StepRecord
from tiphys.reference import Reference, verify
from tiphys.registry.document import ModelDocument, ModelVersion

__all__ = ["Edges", "Folded", "Lineage", "Thing", "lineage", "mermaid", "tree"]

Kind = Literal["artifact", "step", "run", "code", "lock", "git", "environment", "report", "service", "alias"]
_PROVENANCE: tuple[Kind, ...] = ("code", "lock", "git", "environment")
_NAMES = 20  # that are offered for one that is not known
_SERVES = ("Deployment", "Service", "HTTPRoute", "GRPCRoute", "StatefulSet", "InferenceService")


class Edges(Protocol):
    """What lineage asks of the index. ``target``: a URI or a digest."""

    def producers(self, target: str, limit: int) -> Iterable[tuple[str, str, bool, ArtifactRecord]]:
        """(run key, step name, hit, artifact) of each step that made it, the newest first; where none that ran is
        known, of each that took it from the cache."""
        ...

    def consumers(self, target: str, limit: int) -> Iterable[tuple[str, str, bool, ArtifactRecord]]:
        """The same of each step that used it."""
        ...

    def consumed(self, target: str) -> int:
        """How many steps used it."""
        ...

    def record(self, key: str) -> RunRecord:
        """A run with its steps. Raises RefusedError TIP211 for one that is not known."""
        ...


class Folded:
    """The edges of a few runs, in memory."""

    def __init__(self, runs: Iterable[RunRecord]) -> None:
        self._runs = {run.key: run for run in runs}

    def _uses(self, target: str, *, made: bool) -> list[tuple[str, str, bool, ArtifactRecord]]:
        found = [
            (-step.started, run.key, step.name, step.hit, item)
            for run in self._runs.values()
            for step in run.steps
            for item in (step.makes if made else step.uses)
            if target in (item.uri, item.digest)
        ]
        return [each[1:] for each in sorted(found, key=lambda each: each[:3])]

    def producers(self, target: str, limit: int) -> list[tuple[str, str, bool, ArtifactRecord]]:
        found = self._uses(target, made=True)
        return ([each for each in found if not each[2]] or found)[:limit]

    def consumers(self, target: str, limit: int) -> list[tuple[str, str, bool, ArtifactRecord]]:
        return self._uses(target, made=False)[:limit]

    def consumed(self, target: str) -> int:
        return len(self._uses(target, made=False))

    def record(self, key: str) -> RunRecord:
        if key not in self._runs:
            raise RefusedError("TIP211", f"the records know no run {key!r}")
        return self._runs[key]


@dataclass(frozen=True, slots=True)
class Thing:
    """``id`` is its own in the graph; ``label`` is for a person; ``digest`` of an artifact; ``problem``: why it is not
    what it was (it is gone, a file was changed), empty where it is, or where nobody can look."""

    id: str
    kind: Kind
    label: str
    digest: str = ""
    run: str = ""
    problem: str = ""


@dataclass(slots=True)
class Lineage:
    """A graph: ``edges`` go away from the ``root``, from what came to what it came from, or the other way ``down``.

    ``more``: of artifacts that very many steps used, how many are left out, the oldest.
    """

    root: str
    direction: Literal["up", "down"]
    things: dict[str, Thing] = field(default_factory=dict)
    edges: dict[str, list[str]] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)

    @property
    def runs(self) -> list[str]:
        """The keys of all runs in it."""
        return sorted({thing.run for thing in self.things.values() if thing.run})

    @property
    def problems(self) -> list[str]:
        """What is not what it was."""
        return [thing.problem for thing in self.things.values() if thing.problem]


def lineage(
    edges: Edges,
    target: str,
    *,
    down: bool = False,
    volumes: Mapping[str, str] | None = None,
    known: Iterable[str] = (),
    limit: int = 100,
    registered: Iterable[ModelDocument] = (),
) -> Lineage:
    """What ``target`` (a URI, a digest, or the key of a run) came from; ``down``: what came of it.

    ``volumes``: the claims of this machine, whose artifacts are read and compared with their digests; None looks at
    nothing. ``known``: what it may have been meant to be; ``limit``: so many steps that used one thing are told.
    ``registered``: the models of the registry, whose versions and aliases are told.

    Raises StoreError TIP431 for what no run made or used.
    """
    return _Walk(edges, volumes, limit, registered).go(target, down=down, known=known)


class _Walk:
    def __init__(
        self,
        edges: Edges,
        volumes: Mapping[str, str] | None,
        limit: int,
        registered: Iterable[ModelDocument],
    ) -> None:
        self._edges = edges
        self._registered: dict[str, list[tuple[ModelDocument, ModelVersion]]] = {}  # by their URIs
        for document in registered:
            for version in document.versions:
                self._registered.setdefault(version.uri, []).append((document, version))
        self._limit = limit
        self._linked: set[tuple[str, str]] = set()
        self._volumes = volumes
        self._records: dict[str, RunRecord] = {}
        self._steps: dict[str, dict[str, StepRecord]] = {}  # of those, by their names
        self._graph = Lineage("", "up")
        self._waiting: list[tuple[str, ArtifactRecord]] = []

    def go(self, target: str, *, down: bool, known: Iterable[str]) -> Lineage:
        graph = self._graph = Lineage("", "down" if down else "up")
        run = None if "://" in target or target.startswith("sha256:") else self._known(target)
        if run is not None:
            graph.root = self._run(run.key)
            for item in self._ends(run, down=down):
                self._link(graph.root, self._artifact(item))
        else:
            found = [
                each[3]
                for each in (
                    *self._edges.producers(target, self._limit),
                    *self._edges.consumers(target, self._limit),
                )
                if target in (each[3].uri, each[3].digest)
            ]
            if not found:
                raise StoreError(
                    "TIP431",
                    f"no run of this store produced {target!r}."
                    + did_you_mean(target, [each for each, _ in zip(known, range(_NAMES), strict=False)]),
                    fix="give a pvc:// URI, a digest, or the name of a run (`tiphys list --local`)",
                )
            pinned = [item for item in found if item.digest]
            graph.root = self._artifact((pinned or found)[0])
        while self._waiting:
            identity, item = self._waiting.pop()
            if down:
                self._consumed(identity, item)
            else:
                self._produced(identity, item)
        return graph

    # -- up ----------------------------------------------------------------------------------------------------------

    def _produced(self, identity: str, item: ArtifactRecord) -> None:
        """The step that made it: the last of those with the same digest, if there are any."""
        found = list(self._edges.producers(item.uri, self._limit))
        same = [each for each in found if item.digest and each[3].digest == item.digest]
        for key, name, _, _ in (same or found)[:1]:
            step = self._step_of(key, name)
            if step is None:
                continue
            node, new = self._step(key, step)
            self._link(identity, node)
            if new:
                for used in step.uses:
                    self._link(node, self._artifact(used))
                self._link(node, self._run(key))

    # -- down --------------------------------------------------------------------------------------------------------

    def _named(self, identity: str, item: ArtifactRecord) -> None:
        """The names under which it is, or could be, served."""
        for document, version in self._registered.get(item.uri, ()):
            if item.digest and item.digest != version.digest:
                continue
            aliases = document.aliases_of(version.number)
            told = [f"served as {document.name}@{alias} (version {version.number})" for alias in aliases]
            for label in told or [f"version {version.number} of {document.name}"]:
                self._link(identity, self._add(f"alias {label}", "alias", label, digest=version.digest))

    def _consumed(self, identity: str, item: ArtifactRecord) -> None:
        self._named(identity, item)
        found = list(self._edges.consumers(item.uri, self._limit))
        if len(found) == self._limit:
            self._graph.more[identity] = self._edges.consumed(item.uri) - len(found)
        for key, name, _, used in found:
            if item.digest and used.digest and used.digest != item.digest:
                continue  # another thing was there then
            step = self._step_of(key, name)
            if step is None:
                continue
            node, new = self._step(key, step)
            self._link(identity, node)
            if not new:
                continue
            for made in step.makes:
                self._link(node, self._artifact(made))
            if step.said and step.metrics:
                words = [
                    f"{name} {value:g}" for name, value in sorted(step.metrics.items()) if name not in SAMPLED
                ]
                told = ", ".join(words[:6])
                self._link(node, self._add(f"report {node}", "report", told, run=key))
            if step.creates in _SERVES and step.phase == "Succeeded":
                self._link(node, self._add(f"service {node}", "service", f"{step.creates} of {key}", run=key))

    # -- things ------------------------------------------------------------------------------------------------------

    def _artifact(self, item: ArtifactRecord) -> str:
        identity = f"artifact {item.uri} {item.digest}"
        if identity not in self._graph.things:
            problem = ""
            if self._volumes is not None and item.uri.startswith(("pvc://", "file://")):
                problem = verify(Reference(item.uri, item.digest), self._volumes)
            self._add(identity, "artifact", item.uri, digest=item.digest, problem=problem)
            self._waiting.append((identity, item))
        return identity

    def _step(self, key: str, step: StepRecord) -> tuple[str, bool]:
        identity = f"step {key} {step.node}"
        new = identity not in self._graph.things
        label = f"{step.name} of {key}" + (" (a hit)" if step.hit else "")
        return self._add(identity, "step", label, run=key), new

    def _run(self, key: str) -> str:
        identity = f"run {key}"
        if identity in self._graph.things:
            return identity
        record = self._record(key)
        self._add(identity, "run", f"{key}  {record.phase}", run=key)
        for kind in _PROVENANCE:
            text = record.made_from.get(kind)
            if text:
                self._link(identity, self._add(f"{kind} {text}", kind, text))
        return identity

    def _add(
        self, identity: str, kind: Kind, label: str, *, digest: str = "", run: str = "", problem: str = ""
    ) -> str:
        self._graph.things.setdefault(identity, Thing(identity, kind, label, digest, run, problem))
        return identity

    def _link(self, start: str, end: str) -> None:
        if (start, end) not in self._linked:
            self._linked.add((start, end))
            self._graph.edges.setdefault(start, []).append(end)

    def _known(self, name: str) -> RunRecord | None:
        try:
            return self._edges.record(name)
        except RefusedError:
            return None

    def _record(self, key: str) -> RunRecord:
        if key not in self._records:
            self._records[key] = self._edges.record(key)
        return self._records[key]

    def _step_of(self, key: str, name: str) -> StepRecord | None:
        if key not in self._steps:
            self._steps[key] = {step.name: step for step in reversed(self._record(key).steps)}
        return self._steps[key].get(name)

    @staticmethod
    def _ends(record: RunRecord, *, down: bool) -> list[ArtifactRecord]:
        """What a run leaves: what it made and made nothing else of; ``down``: all that it made."""
        used = {item.uri for step in record.steps if step.makes for item in step.uses}
        made = [item for step in record.steps for item in step.makes]
        return [item for item in made if down or item.uri not in used]


def tree(graph: Lineage) -> Iterator[tuple[int, Thing, bool]]:
    """(depth, thing, told before) in the order in which a tree shows them; what was shown is not opened again, and
    a run not shown again: each step tells its own."""
    shown: set[str] = set()
    waiting = [(0, graph.root)]
    while waiting:
        depth, identity = waiting.pop()
        if identity in shown and graph.things[identity].kind == "run":
            continue
        again = identity in shown and bool(graph.edges.get(identity))
        yield depth, graph.things[identity], again
        if identity in shown:
            continue
        shown.add(identity)
        waiting.extend((depth + 1, each) for each in reversed(graph.edges.get(identity, ())))


def mermaid(graph: Lineage) -> str:
    """The graph as Mermaid text; arrows go from what was used to what came of it."""
    numbers = {identity: f"n{place}" for place, identity in enumerate(graph.things)}
    shapes = {"artifact": ("[(", ")]"), "step": ("[", "]"), "run": ("([", "])"), "service": ("{{", "}}")}
    lines = ["flowchart LR"]
    for identity, thing in graph.things.items():
        opening, closing = shapes.get(thing.kind, (">", "]"))
        words = [thing.label, thing.digest[:19], thing.problem and "NOT WHAT IT WAS"]
        text = "<br/>".join(_quoted(word) for word in words if word)
        lines.append(f'  {numbers[identity]}{opening}"{text}"{closing}')
    for start, ends in graph.edges.items():
        for end in ends:
            pair = (start, end) if graph.direction == "down" else (end, start)
            lines.append(f"  {numbers[pair[0]]} --> {numbers[pair[1]]}")
    changed = [numbers[identity] for identity, thing in graph.things.items() if thing.problem]
    if changed:
        lines += ["  classDef changed stroke:#c00,stroke-width:3px", f"  class {','.join(changed)} changed"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text inside quotes of Mermaid, whatever is in it (its own way: HTML entities with ``#``)."""
    return "".join(each if each.isalnum() or each in " -_./:@=," else f"#{ord(each)};" for each in text)
