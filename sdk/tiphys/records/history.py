"""What the store remembers: models, and which data and steps a thing came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.nodes import is_hit, is_step, label
from tiphys.errors import StoreError, did_you_mean
from tiphys.reference import MANIFEST, Reference, contents, file_digest, verify
from tiphys.store.layout import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["Link", "Model", "lineage", "models"]


@dataclass(frozen=True)
class Model:
    """A sealed SavedModel in a volume. ``problem`` is empty when every file has its recorded digest."""

    uri: str
    digest: str
    versions: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Link:
    """A reference, the step that produced it, and the references that step was given."""

    uri: str
    digest: str = ""
    run: str = ""
    step: str = ""
    hit: bool = False
    sources: tuple[Link, ...] = field(default=())


def models(store: Store) -> list[Model]:
    """Every sealed folder of a volume that holds numbered SavedModel versions."""
    found = []
    volumes = store.volumes()
    for claim, root in volumes.items():
        for manifest in sorted(Path(root).glob(f"models/*/{MANIFEST}")):
            folder = manifest.parent
            versions = tuple(
                sorted(
                    (
                        path.parent.name
                        for path in folder.glob("*/saved_model.pb")
                        if path.parent.name.isdigit()
                    ),
                    key=int,
                )
            )
            if versions:
                uri = f"pvc://{claim}/{folder.relative_to(root).as_posix()}"
                found.append(Model(uri, file_digest(manifest), versions, verify(Reference(uri), volumes)))
    return found


def lineage(store: Store, target: str) -> Link:
    """Where ``target`` (a URI, a digest, or the name of a run) came from. Raises StoreError TIP430, TIP431."""
    producers = dict(_producers(store))
    if store.has_run(target):
        workflow = _read(store.root / "runs" / target / "workflow.json")
        if workflow is None:
            raise StoreError(
                "TIP430",
                f"the run {target!r} has not ended, or what it wrote at its end cannot be read",
                where=str(store.run(target)),
                fix=f"ask again when it has: tiphys wait {target} --store {store.root}",
            )
        inside = {uri: link for uri, link in producers.items() if link.run == target}
        consumed = {source.uri for link in inside.values() for source in link.sources}
        ends = [_expand(uri, producers, frozenset()) for uri in inside if uri not in consumed]
        return Link(target, run=target, step=str(workflow["status"].get("phase", "")), sources=tuple(ends))
    uri = next((uri for uri, link in producers.items() if target in (uri, link.digest)), "")
    if not uri:
        raise StoreError(
            "TIP431",
            f"no run of this store produced {target!r}." + did_you_mean(target, producers),
            fix="give a pvc:// URI, a digest, or the name of a run (`tiphys list --local`)",
        )
    return _expand(uri, producers, frozenset())


def _expand(uri: str, producers: Mapping[str, Link], above: frozenset[str]) -> Link:
    link = producers.get(uri)
    if link is None or uri in above:
        return Link(uri)
    sources = tuple(_expand(source.uri, producers, above | {uri}) for source in link.sources)
    return Link(uri, link.digest, link.run, link.step, link.hit, sources)


def _producers(store: Store) -> Iterator[tuple[str, Link]]:
    """For each URI the step that made it: a step that ran wins over one that took it from the cache."""
    best: dict[str, Link] = {}
    for name in store.runs():
        workflow = _read(store.root / "runs" / name / "workflow.json") or {}
        for node in ((workflow.get("status") or {}).get("nodes") or {}).values():
            if not is_step(node) or node.get("phase") != "Succeeded":
                continue
            hit = is_hit(node)
            sources = tuple(Link(item.uri, item.digest) for item in _references(node.get("inputs")))
            step = label(node, workflow["metadata"]["name"])
            for made in _references(node.get("outputs")):
                known = best.get(made.uri)
                if made.uri not in {source.uri for source in sources} and (known is None or known.hit):
                    digest = made.digest or (known.digest if known else "")
                    best[made.uri] = Link(made.uri, digest, name, step, hit, sources)
    yield from best.items()


def _references(part: object) -> list[Reference]:
    parameters = part.get("parameters") or [] if isinstance(part, Mapping) else []
    found = (Reference.maybe(str(item.get("value", ""))) for item in parameters)
    return [reference for reference in found if reference is not None]


def _read(path: Path) -> Workflow | None:
    try:
        value: Workflow = json.loads(contents(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
