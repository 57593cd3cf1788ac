"""What validation says of a workflow before it runs: one judge for every run, those that a step makes included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.version import NEWEST, Argo
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.lint import Finding

__all__ = ["judged", "unreadable"]


def judged(
    workflow: Mapping[str, object], context: Sequence[Mapping[str, object]], argo: Argo = NEWEST
) -> str:
    """Return the words after ``invalid spec:`` with which the controller would end it; empty when it is valid.

    ``context``: the templates and ConfigMaps that it may refer to; ``argo``: the version whose controller is meant.

    Raises
    ------
    RefusedError
        TIP298: it cannot be read as a Workflow.
    """
    from tiphys.argo.reader import read_text
    from tiphys.lint import judge  # slow to import; who comes with a verdict does not need it

    # JSON is YAML; what it may refer to are documents beside it
    texts = [json.dumps(each, ensure_ascii=True) for each in (workflow, *context)]
    documents = [item for item in read_text("\n---\n".join(texts)) if isinstance(item.data, dict)]
    verdict = judge(documents, documents[0], argo)
    own = [item for item in verdict.undecodable if item.document == documents[0].index]
    if own:
        raise unreadable(documents[0].kind, own)
    return verdict.invalid


def unreadable(kind: str, findings: Sequence[Finding], where: str = "") -> RefusedError:
    """The refusal (TIP298) of a document for findings by which it cannot be read at all."""
    first, *more = findings
    return RefusedError(
        "TIP298",
        f"this cannot be read as a {kind}: {first.message}",
        where=where,
        cause=first.cause + (f" ({len(more)} more: tiphys lint)" if more else ""),
        fix=first.fix,
    )
