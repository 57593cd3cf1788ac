"""How the API server lists and watches: selectors, pages, and streams of changes."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast

from tiphys.argo.selectors import FieldSelector, Requirement, matches_labels, parse_fields, parse_labels
from tiphys.server.answers import RequestError, status
from tiphys.server.board import BoardChange, ExpiredError
from tiphys.server.texts import Texts, encoded

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = [
    "Collection",
    "Empty",
    "Selection",
    "Watch",
    "Wholes",
    "events",
    "listed",
    "listed_text",
    "selection",
    "watched",
]

_LONGEST = 300.0  # seconds of a watch; its client begins another where it stood
_ABOUT = "involvedObject."  # fields of events: what they are about
_BREATH = 0.02  # seconds in which changes are gathered


class Collection(Protocol):
    """What can be listed and followed: see :class:`tiphys.server.board.Board`. What :meth:`briefs` shows is
    in the order of names."""

    @property
    def number(self) -> int: ...

    def briefs(self) -> tuple[int, list[Workflow]]: ...

    def get(self, name: str) -> Workflow | None: ...

    def whole(self, shown: Workflow) -> Workflow | None: ...

    def text(self, shown: Workflow) -> bytes | None: ...

    def changes(self, since: int) -> Iterator[BoardChange]: ...

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]: ...


_TEXTS = Texts()


class Wholes:
    """A collection of small objects: what :meth:`Collection.briefs` shows of them is all."""

    def whole(self, shown: Workflow) -> Workflow | None:
        """The object that was shown."""
        return shown

    def text(self, shown: Workflow) -> bytes | None:
        """Its JSON."""
        return encoded(shown)


class Empty(Wholes):
    """What clients list that a store does not have."""

    def __init__(self, board: Collection) -> None:
        self._board = board

    @property
    def number(self) -> int:
        return self._board.number

    def briefs(self) -> tuple[int, list[Workflow]]:
        return self.number, []

    def get(self, name: str) -> Workflow | None:
        return None

    def changes(self, since: int) -> Iterator[BoardChange]:
        return iter(())

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


@dataclass(frozen=True)
class Selection:
    """Which objects are meant."""

    labels: tuple[Requirement, ...]
    fields: FieldSelector

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.labels and not self.fields.terms

    def holds(self, item: Workflow) -> bool:
        """Whether an object is one of them."""
        metadata = item["metadata"]
        if not matches_labels(self.labels, metadata.get("labels")):
            return False
        if not self.fields.terms:
            return True
        fields = {
            "metadata.name": str(metadata.get("name") or ""),
            "metadata.namespace": str(metadata.get("namespace") or ""),
        }
        about = cast("Mapping[str, object]", item).get("involvedObject")
        for name, _, _ in self.fields.terms:
            if name.startswith(_ABOUT):
                known = about.get(name.removeprefix(_ABOUT)) if isinstance(about, Mapping) else None
                fields[name] = str(known or "")
        return self.fields.matches(fields)


def selection(query: Mapping[str, str]) -> Selection:
    """What ``labelSelector`` and ``fieldSelector`` say. Raises SelectorError TIP266; RequestError 400 for a field that
    no object is known by."""
    fields = parse_fields(query.get("fieldSelector", ""))
    for name, _, _ in fields.terms:
        if name not in ("metadata.name", "metadata.namespace") and not name.startswith(_ABOUT):
            raise RequestError(400, f"field label not supported: {name}")
    return Selection(tuple(parse_labels(query.get("labelSelector", ""))), fields)


def listed(
    collection: Collection, query: Mapping[str, str], kind: str, api_version: str, *, here: bool = True
) -> dict[str, object]:
    """A list, of ``limit`` objects after ``continue``. ``here``: whether the namespace that is asked is the store's.
    Raises as :func:`selection`; RequestError 400 for a limit that is no number."""
    metadata, shown = _page(collection, query, here=here)
    items = [item for each in shown if (item := collection.whole(each)) is not None]
    return {"apiVersion": api_version, "kind": f"{kind}List", "metadata": metadata, "items": items}


def listed_text(
    collection: Collection, query: Mapping[str, str], kind: str, api_version: str, *, here: bool = True
) -> bytes:
    """The JSON of :func:`listed`."""
    metadata, shown = _page(collection, query, here=here)
    items = b",".join(text for each in shown if (text := collection.text(each)) is not None)
    head = json.dumps({"apiVersion": api_version, "kind": f"{kind}List", "metadata": metadata})
    return b'%s,"items":[%s]}' % (head.encode().removesuffix(b"}"), items)


def _page(
    collection: Collection, query: Mapping[str, str], *, here: bool
) -> tuple[dict[str, object], list[Workflow]]:
    """The metadata of a list, and what is shown of its objects. How many are left is told where all are meant, as
    Kubernetes does (``ListMeta.remainingItemCount``): else each would have to be looked at."""
    chosen = selection(query)
    number, briefs = collection.briefs()
    try:
        after, most = query.get("continue", ""), int(query.get("limit") or 0)
        if most < 0:
            raise ValueError
    except ValueError:
        raise RequestError(400, f"the limit {query['limit'][:50]!r} is no number") from None
    metadata: dict[str, object] = {"resourceVersion": str(number)}
    first = bisect_right(briefs, after, key=_name) if after else 0
    rest = islice(briefs, first, None) if here else iter(())
    found = rest if chosen.everything else filter(chosen.holds, rest)
    shown = list(islice(found, most or None))
    if next(found, None) is not None:
        metadata["continue"] = _name(shown[-1])
        if chosen.everything:
            metadata["remainingItemCount"] = len(briefs) - first - len(shown)
    return metadata, shown


def _name(shown: Workflow) -> str:
    return str(shown["metadata"]["name"])


@dataclass
class Watch:
    """What a watch is asked for, and which objects its client has been shown."""

    chosen: Selection
    since: int | None  # None: what there is, and what comes
    bookmark: bool  # tell where the objects that were there already end
    seconds: float
    kind: str
    api_version: str
    breath: float = _BREATH  # seconds in which changes are gathered

    @classmethod
    def of(cls, query: Mapping[str, str], kind: str, api_version: str) -> Watch:
        """Raises as :func:`selection`; RequestError 400 for a number that is none."""
        version = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") == "true"
        try:
            since = None if initial or version in ("", "0") else int(version)
            seconds = min(float(query.get("timeoutSeconds") or _LONGEST), _LONGEST)
        except ValueError:
            raise RequestError(400, f"the resourceVersion {version[:50]!r} is no number") from None
        return cls(selection(query), since, initial, seconds, kind, api_version)


async def watched(collection: Collection, watch: Watch, *, here: bool = True) -> AsyncIterator[bytes]:
    """The lines of a watch: one JSON object for each change."""
    async for kind, item in events(collection, watch, here=here):
        yield b'{"type": "%s", "object": %s}\n' % (kind.encode(), _TEXTS.of(item))


async def events(
    collection: Collection, watch: Watch, *, here: bool = True
) -> AsyncIterator[tuple[str, Mapping[str, object]]]:
    """What a watch tells: a kind (``ADDED``, ``MODIFIED``, ``DELETED``; ``BOOKMARK``, ``ERROR``) and an object."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def heard() -> None:
        loop.call_soon_threadsafe(event.set)

    unheard = collection.hear(heard)
    until = loop.time() + watch.seconds
    shown: set[str] = set()
    since = watch.since
    known = since is None  # whether `shown` is all that the client has seen
    try:
        if since is None:
            since, briefs = collection.briefs()
            for each in briefs:
                if not here or not watch.chosen.holds(each):
                    continue
                if (item := await asyncio.to_thread(collection.whole, each)) is not None:
                    shown.add(item["metadata"]["name"])
                    yield "ADDED", item
            if watch.bookmark:
                yield "BOOKMARK", _mark(watch, since)
        while (left := until - loop.time()) > 0:
            event.clear()
            try:
                for change in await asyncio.to_thread(_changes, collection, since):
                    since = max(since, change.number)
                    kind = _told(change, watch.chosen, shown, known) if here else ""
                    if kind:
                        yield kind, change.workflow
            except ExpiredError:
                yield "ERROR", cast("Mapping[str, object]", status(410, f"too old resource version: {since}"))
                return
            try:
                await asyncio.wait_for(event.wait(), min(left, _LONGEST))
            except TimeoutError:
                return
            await asyncio.sleep(watch.breath)
    finally:
        unheard()


def _changes(collection: Collection, since: int) -> list[BoardChange]:
    return list(collection.changes(since))


def _told(change: BoardChange, chosen: Selection, shown: set[str], known: bool) -> str:
    """What a change is to who watches: an object that is selected no longer is one that is gone. Empty for nothing."""
    if change.kind == "DELETED" or not chosen.holds(change.workflow):
        gone = change.name in shown or (not known and change.kind != "ADDED")
        shown.discard(change.name)
        return "DELETED" if gone else ""
    new = "ADDED" if known else change.kind
    kind = "MODIFIED" if change.name in shown else new
    shown.add(change.name)
    return kind


def _mark(watch: Watch, number: int) -> dict[str, object]:
    metadata = {
        "resourceVersion": str(number),
        "creationTimestamp": None,
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    return {"apiVersion": watch.api_version, "kind": watch.kind, "metadata": metadata}
