"""What validation says of a workflow before it runs: one judge for every run, those that a step makes included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.errors import RefusedError

__all__ = ["judged"]

Json = Any


def judged(workflow: Mapping[str, Json], context: Sequence[Mapping[str, Json]]) -> str:
    """Return the words after ``invalid spec:`` with which the controller would end it; empty when it is valid.

    ``context``: the templates and ConfigMaps that it may refer to.

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
    verdict = judge(documents, documents[0])
    own = [item for item in verdict.undecodable if item.document == documents[0].index]
    if own:
        raise RefusedError(
            "TIP298",
            f"this cannot be read as a {documents[0].kind}: {own[0].message}",
            cause=own[0].cause,
            fix=own[0].fix,
        )
    return verdict.invalid
