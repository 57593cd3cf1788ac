"""What is looked at before a workflow runs here: its parameters, and what the controller would say of its spec.

``argo submit`` and the controller each refuse something: what cannot be decoded never becomes a Workflow, and is
refused here, too, as is a field that would have no effect (misspelt, or one that Argo has no more); what validation
finds ends the workflow ``Failed`` with ``invalid spec: …``, and so it does here, with the line and the fix beside it.
What is overlooked and changes nothing that runs (a bare number as text, an unknown field of the metadata) is told.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiphys.argo import parameters, paths
from tiphys.argo.spec import Path, workflow_spec, written
from tiphys.argo.version import NEWEST, Argo
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.compiler.source import Source
    from tiphys.engine.base.observations import Observer
    from tiphys.lint import Finding

__all__ = ["check_source"]


def check_source(
    source: Source, observer: Observer | None = None, *, strict: bool = True, argo: Argo = NEWEST
) -> str:
    """Return what is invalid in the words of Argo's validation; an empty string for a valid workflow.

    ``observer`` is told, as notices, what is overlooked and where the invalid part is. ``strict``: as ``argo submit``
    reads, which refuses what would have no effect; else as ``kubectl apply`` stores, which drops it. ``argo``: the
    version that says so.

    Raises
    ------
    RefusedError
        TIP280, TIP281, TIP282 for parameters (see :func:`tiphys.argo.parameters.check`); TIP298 when the document
        cannot be decoded as what it says it is, TIP288 for settings without effect, TIP228 for a name or path that no
        pod can have.
    """
    if source.document is None:
        parameters.check(source.workflow, source.parameters)
        return ""
    from tiphys.engine.base.observations import Notice
    from tiphys.engine.runtime.judged import unreadable
    from tiphys.lint import judge

    verdict = judge(source.documents, source.document, argo)
    if verdict.undecodable:
        raise unreadable(source.document.kind, verdict.undecodable, _place(verdict.undecodable[0]))
    if strict and verdict.lost:
        first, *more = verdict.lost
        raise RefusedError(
            "TIP288",
            f"this would have no effect: {first.message}",
            where=_place(first),
            cause=f"{first.cause} `argo submit` refuses it, too"
            + (f" ({len(more)} more: tiphys lint)" if more else ""),
            fix=first.fix or "remove it, or run with --lenient to drop it as `kubectl apply` does",
        )
    for found in paths.refused(workflow_spec(source.workflow)):
        path: Path = ("spec", *found[0])
        line, column = source.document.position(path)
        raise paths.refusal(found, f"{source.document.file}:{line}:{column} ({written(path)})")
    # YAML that nobody here wrote ends as Argo ends it without a value; a pipeline is refused before it runs.
    parameters.check(source.workflow, source.parameters, complete=source.project is not None)
    if observer is not None:
        told = [*verdict.ignored, *((verdict.reason,) if verdict.reason else ())]
        for finding in told:
            fix = f" ({finding.fix})" if finding.fix else ""
            observer(
                Notice(
                    time.time(), f"{_place(finding)}: {finding.code}: {finding.message}{fix}", finding.code
                )
            )
    return verdict.invalid


def _place(finding: Finding) -> str:
    return f"{finding.file or 'workflow'}:{finding.line}:{finding.column}"
