"""From anything that stands for a workflow to a run on this machine.

What runs, is drawn or linted is always the YAML: a pipeline is compiled to text and the text is read back.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tiphys.argo.cache_mode import CacheMode, with_cache_mode
from tiphys.argo.parameters import as_text, declared
from tiphys.argo.time import rfc3339
from tiphys.compiler.source import Source, load_source
from tiphys.errors import RefusedError
from tiphys.runs.checks import check_source
from tiphys.runs.made_from import annotated
from tiphys.runs.sources import check_sources
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import CronWorkflow
    from tiphys.engine import RunOptions, RunResult

__all__ = ["next_runs", "run", "run_source"]


def run(
    x: Any, *, options: RunOptions | None = None, cache: CacheMode = "auto", **parameters: object
) -> RunResult:
    """Run ``x`` on this machine and wait for its end.

    Parameters
    ----------
    x:
        A Pipeline, any Hera workflow object, a mapping, ``path.py``, ``module:object`` or a path to YAML.
    options:
        The store, the runner, images, an observer: see :class:`tiphys.engine.RunOptions`.
    cache:
        How this run uses the caches of its steps: ``auto``; ``refresh`` reads no earlier result and stores what it
        computes; ``never`` neither reads nor stores.
    parameters:
        The workflow's parameters; underscores stand for dashes (``batch_size=64``).

    Returns
    -------
    RunResult
        ``phase``, ``succeeded`` and ``workflow``, the Workflow object with ``status`` as Argo writes it.

    Raises
    ------
    DefinitionError, RefusedError
        Before anything runs. TIP284: no such ``cache``; TIP285: a step whose cache it would not reach.

    Example
    -------
    >>> result = tiphys.run("pipelines/fashion_mnist.py", epochs=12)  # doctest: +SKIP
    """
    texts = {name: as_text(value) for name, value in parameters.items()}
    source = load_source(x, texts, python_names=True)
    if cache != "auto" and "cache" in declared(source.workflow):
        raise RefusedError(
            "TIP284",
            f"cache={cache!r} could be the mode of this run, or the workflow's parameter of that name",
            fix="give the parameter another name, or say both on the command line: tiphys run FILE --cache MODE -p "
            "cache=VALUE",
        )
    return run_source(source, options, cache=cache)


def run_source(source: Source, options: RunOptions | None = None, *, cache: CacheMode = "auto") -> RunResult:
    """Run what :func:`load_source` returned; a CronWorkflow once, as the run that is due now. See :func:`run`."""
    from tiphys.engine import RunOptions
    from tiphys.engine.runtime.run import Run

    chosen = options or RunOptions()
    if source.workflow["kind"] == "CronWorkflow":
        source = _once(source)
    invalid = check_source(source, chosen.observer, strict=chosen.strict, argo=chosen.argo)
    if source.project is not None and not chosen.project:
        chosen = replace(chosen, project=source.project)
    check_sources(source.workflow, Store(chosen.store).bucket)
    workflow, context = with_cache_mode(source.workflow, cache, source.context)
    workflow = annotated(workflow, source.project, Store(chosen.store))
    run = Run(
        workflow,
        parameters=source.parameters,
        options=chosen,
        context=context,
        invalid=invalid,
        origins=_origins(source),
    )
    return run.execute()


def _origins(source: Source) -> dict[str, str]:
    """The files that Secrets are in, by their names: those that can be read again."""
    return {
        str((item.data.get("metadata") or {}).get("name")): os.path.abspath(item.file)
        for item in source.documents
        if item.kind == "Secret"
        and item.file.endswith((".yaml", ".yml", ".json"))
        and os.path.isfile(item.file)
    }


def _once(source: Source) -> Source:
    from tiphys.argo.cron import child_workflow

    return replace(source, workflow=child_workflow(cast("CronWorkflow", source.workflow), time.time()))


def next_runs(source: Source, count: int = 5) -> list[str]:
    """Return when the CronWorkflow in ``source`` is due next, as times of RFC 3339.

    Raises
    ------
    RefusedError
        TIP265: a schedule cannot be read; TIP299: the workflow it would make is invalid.
    """
    from tiphys.argo.cron import next_times

    invalid = check_source(_once(source))
    if invalid:
        raise RefusedError(
            "TIP299",
            f"each run of this CronWorkflow would fail: invalid spec: {invalid}",
            where=source.document.file if source.document else "",
            fix="`tiphys lint` tells the line",
        )
    moments = itertools.islice(next_times(cast("CronWorkflow", source.workflow), time.time()), count)
    return [rfc3339(moment) for moment in moments]
