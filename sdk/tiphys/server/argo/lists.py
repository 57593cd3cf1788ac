"""Lists of Workflows as Argo Server gives them: filters, pages, and only the parts that are wanted.

Source: server/utils/list_options.go and ListWorkflows of Argo 4.1.2. Pages always have a ``continue`` where there is
more: the original gives none for live workflows unless the rest is to be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from tiphys.argo.nodes import COMPLETED
from tiphys.argo.selectors import matches_labels, parse_labels
from tiphys.argo.time import seconds
from tiphys.server.answers import RequestError
from tiphys.server.argo.fields import FieldMask
from tiphys.server.board import ARCHIVED

if TYPE_CHECKING:
    from tiphys.argo.selectors import Requirement
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["ListAsked", "ended", "page", "persisted"]

_UNSEEN = ("items.status.nodes", "items.spec.templates")  # what a brief of a Workflow lacks
Test = Callable[["Workflow"], bool]


@dataclass(frozen=True)
class ListAsked:
    """Which Workflows, how many, after how many, and whether the rest is counted."""

    labels: tuple[Requirement, ...]
    tests: tuple[Test, ...]
    limit: int
    offset: int
    counts: bool

    @classmethod
    def of(cls, query: Mapping[str, str], namespace: str, here: str) -> ListAsked:
        """What a query says; ``namespace``: that of the request, ``here``: the store's.

        Raises RequestError 400 for what cannot be read, SelectorError TIP266.
        """
        tests: list[Test] = []
        counts = query.get("listOptions.showRemainingItemCount") in ("true", "1")
        name, how = "", query.get("nameFilter", "") or "Exact"
        for selector in filter(None, query.get("listOptions.fieldSelector", "").split(",")):
            key, operator, value = _term(selector)
            if key == "metadata.namespace":
                if (value == here) is (operator == "!="):
                    tests.append(lambda _: False)
                if operator != "!=" and namespace not in ("", value):
                    raise RequestError(
                        400, f"the namespace is {namespace!r}, and the selector says {value!r}"
                    )
            elif key == "metadata.name":
                name, how = value, "NotEquals" if operator == "!=" else how
            elif key == "spec.startedAt" and operator in "<>":
                tests.append(_time("startedAt", operator, value))
            elif key == "ext.showRemainingItemCount":
                counts = value == "true"
            else:
                raise RequestError(400, f"unsupported requirement {selector}")
        if name:
            tests.append(_named(name, how))
        if prefix := query.get("namePrefix", ""):
            tests.append(_named(prefix, "Prefix"))
        if moment := query.get("createdAfter", ""):
            tests.append(_time("creationTimestamp", ">", moment))
        if moment := query.get("finishedBefore", ""):
            tests.append(_time("finishedAt", "<", moment))
        labels = tuple(parse_labels(query.get("listOptions.labelSelector", "")))
        return cls(
            labels,
            tuple(tests),
            _count(query, "listOptions.limit"),
            _count(query, "listOptions.continue"),
            counts,
        )

    def holds(self, brief: Workflow) -> bool:
        """Whether a Workflow is one of them."""
        return matches_labels(self.labels, brief["metadata"].get("labels")) and all(
            test(brief) for test in self.tests
        )


def ended(workflow: Workflow) -> bool:
    """Whether a run has ended."""
    return (workflow.get("status") or {}).get("phase") in COMPLETED


def page(
    desk: Desk, wanted: ListAsked, fields: str, *, deleted: bool = False, also: Test = lambda brief: True
) -> JsonObject:
    """A list, newest first; ``deleted``: and then what is in the archive alone. ``also``: what else must hold.

    Argo lists those also among the others, where none of its verbs on several runs finds them.
    """
    number, briefs = desk.board.latest()
    every = chain(briefs, desk.archive.latest() if deleted else ())
    rest = islice((each for each in every if wanted.holds(each) and also(each)), wanted.offset, None)
    shown = list(islice(rest, wanted.limit or None))
    left = sum(1 for _ in (rest if wanted.counts else islice(rest, 1)))
    mask, metadata = FieldMask(fields), {"resourceVersion": str(number)}
    if not all(mask.excludes(part) for part in _UNSEEN):
        shown = [item for each in shown if (item := _whole(desk, each)) is not None]
    told: dict[str, object] = {**metadata, **({"remainingItemCount": left} if wanted.counts else {})}
    if left:
        told["continue"] = str(wanted.offset + wanted.limit)
    found = mask.items({"metadata": told, "items": [persisted(each) for each in shown]})
    return (
        {**found, "items": found["items"] or None} if "items" in found else found
    )  # as Go says that there is none


def _whole(desk: Desk, brief: Workflow) -> Workflow | None:
    uid, found = brief["metadata"].get("uid"), desk.board.get(brief["metadata"]["name"])
    if found is not None and found["metadata"].get("uid") == uid:
        return found
    return desk.archive.get(uid=str(uid)) or found


def persisted(workflow: Workflow) -> Workflow:
    """One that has ended comes out of the archive, which says so itself."""
    if not ended(workflow):
        return workflow
    metadata = workflow["metadata"]
    return {
        **workflow,
        "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), ARCHIVED: "Persisted"}},
    }


def _term(selector: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "=", ">", "<"):
        key, found, value = selector.partition(operator)
        if found:
            return key, operator, value
    return selector, "", ""


def _named(name: str, how: str) -> Test:
    tests: dict[str, Callable[[str], bool]] = {
        "Exact": lambda each: each == name,
        "Contains": lambda each: name in each,
        "Prefix": lambda each: each.startswith(name),
        "NotEquals": lambda each: each != name,
    }
    if how not in tests:
        raise RequestError(400, f"nameFilter: {how!r} is none of {', '.join(tests)}")
    test = tests[how]
    return lambda brief: test(brief["metadata"]["name"])


def _time(key: str, operator: str, text: str) -> Test:
    try:
        border = seconds(text)
    except ValueError as error:
        raise RequestError(400, str(error)) from None

    def holds(brief: Workflow) -> bool:
        place = brief["metadata"] if key == "creationTimestamp" else brief.get("status") or {}
        said = place.get(key)
        return bool(said) and (
            seconds(str(said)) > border if operator == ">" else seconds(str(said)) < border
        )

    return holds


def _count(query: Mapping[str, str], key: str) -> int:
    text = query.get(key, "") or "0"
    if not text.isdecimal():
        raise RequestError(400, f"{key} must be int, and not negative")
    return int(text)
