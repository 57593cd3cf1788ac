"""Retry and resubmit of a run of the store: what succeeded is kept, the rest runs in this process.

What is kept is :mod:`tiphys.argo.verbs`'s matter, by the rules of Argo. Of a run whose engine was killed, what was
running counts as never begun; where nothing had failed, it goes on as with a resume. Killed in the middle of a retry, a
run is either as before or begun anew: the verb can be given again.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo import parameters as declared
from tiphys.argo import verbs
from tiphys.argo.nodes import ACTIVE, COMPLETED, FAILED, HOLDERS, is_hit
from tiphys.argo.time import rfc3339
from tiphys.engine.base.observations import Notice
from tiphys.engine.base.options import RunOptions
from tiphys.engine.runtime.facts import remembered
from tiphys.engine.runtime.run import Run, new_name
from tiphys.engine.runtime.stored import Record
from tiphys.engine.runtime.withheld import keep
from tiphys.errors import RefusedError
from tiphys.reference import Reference, references, verify
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import GivenObject, Workflow


__all__ = ["prepare_again", "prepare_resubmit", "prepare_retry"]

_PHASE = "workflows.argoproj.io/phase"


def prepare_retry(
    name: str,
    *,
    options: RunOptions | None = None,
    parameters: Mapping[str, str] | None = None,
    restart_successful: bool = False,
    selector: str = "",
    again: Collection[str] = (),
) -> Run:
    """The run ``name``, ready to go through again what failed, under the same name: ``execute()`` it.

    What succeeded is kept, unless something that it made is gone or was altered since: then it runs again, too.

    Parameters
    ----------
    options:
        What it does not set is as in the first run.
    parameters:
        New values of the workflow's parameters.
    restart_successful, selector:
        With both: what the selector names (``displayName=a``) runs again, too, whatever it ended as.
    again:
        IDs of nodes that run again, too, whatever they ended as.

    Raises
    ------
    RefusedError
        TIP210: it goes on in another process; TIP211: there is no such run; TIP216: Argo would not retry it; TIP233: a
        Secret that it had is gone or another (``options.secrets`` gives it anew); TIP280: a parameter that it does not
        have.
    """
    options = options or RunOptions()
    with Record(Store(options.store), name) as record:
        ownership = record.own()
        try:
            facts = record.begun().revealed(record.folder, options.secrets)
            record.journal.objects()  # what steps made is there, too
            before = record.workflow()
            goes_on = False
            if (before.get("status") or {}).get("phase") not in COMPLETED:
                # where nothing is tried again, and with nothing new, what is under way is what would begin
                goes_on = not (parameters or restart_successful or selector or again or _failed(before))
                before = _cut_off(before)
            declared.check(before, parameters or {}, complete=False, literal=facts.strict_values)
            now = time.time()
            lost = dict(_lost(before, options.store))
            after = _retried(before, now, parameters, restart_successful, selector, lost, again)
            if options.observer is not None:
                for step, problem in lost.values():
                    options.observer(Notice(now, f"{step} runs again: {problem}"))
            facts = replace(
                facts,
                workflow={**_relabelled(facts.workflow, after), "spec": after["spec"]},
                parameters={**facts.parameters, **(parameters or {})},
                earlier=after["status"],
                begun=now,
                retries=facts.retries + 1,
                options=remembered(facts.recalled(options)),
            )
            if not goes_on:
                ownership.end_left()
            # in this order: killed in between, the journal still tells the old end
            (record.folder / "workflow.json").unlink(missing_ok=True)
            keep(record.folder, facts.context, facts.origins)
            record.journal.restart(facts.to_json())
        except BaseException:
            ownership.close()
            raise
        return Run.of(facts, options, ownership)


def prepare_again(
    before: Workflow,
    *,
    options: RunOptions,
    context: Sequence[GivenObject] = (),
    parameters: Mapping[str, str] | None = None,
    restart_successful: bool = False,
    selector: str = "",
) -> Run:
    """A new run of the name of one of which there is its Workflow alone, which goes on from there as a retry does:
    ``execute()`` it. ``context``: the templates to which it refers. Raises what :func:`prepare_retry` does."""
    declared.check(before, parameters or {}, complete=False, literal=options.strict_values)
    now = time.time()
    lost = dict(_lost(before, options.store))
    after = _retried(before, now, parameters, restart_successful, selector, lost)
    given: Workflow = {**before, "spec": after["spec"]}
    del given["status"]
    facts = Run(_relabelled(given, after), options=options, context=context).facts
    return Run.of(replace(facts, earlier=after["status"]), options, resumed=False)


def prepare_resubmit(
    name: str,
    *,
    options: RunOptions | None = None,
    parameters: Mapping[str, str] | None = None,
    memoized: bool = False,
    told: Callable[[Workflow, Path | None], Workflow] | None = None,
) -> Run:
    """A new run of the same workflow: ``execute()`` it.

    ``memoized`` takes over what had succeeded in a run that failed. ``told`` gives the Workflow with what it is made
    from now, by the project that its steps import from. Raises what :func:`prepare_retry` does; a run may
    be resubmitted while it goes on.
    """
    options = options or RunOptions()
    with Record(Store(options.store), name) as record:
        facts = record.begun().revealed(record.folder, options.secrets)
        before = record.workflow()
        if record.state == "killed":
            before = _cut_off(before)
    literal = options.strict_values or facts.strict_values
    declared.check(before, parameters or {}, complete=False, literal=literal)
    now = time.time()
    made = verbs.resubmitted(before, parameters=parameters)
    fresh = options.name or new_name(made)
    earlier = None
    if memoized:
        before["metadata"]["generateName"] = fresh[:1]
        with _possible():
            kept = verbs.memoized(before, fresh[1:], rfc3339(now))
        earlier = kept["status"]
    workflow: Workflow = {**facts.workflow, "metadata": made["metadata"], "spec": made["spec"]}
    if told is not None:
        project = facts.options.get("project")
        workflow = told(workflow, Path(project) if project else None)
    new = replace(
        facts,
        workflow=workflow,
        name=fresh,
        uid=str(uuid.uuid4()),
        parameters={**facts.parameters, **(parameters or {})},
        earlier=earlier,
        options=remembered(facts.recalled(options)),
        now=now,
        begun=None,
        retries=0,
    )
    return Run.of(new, options, resumed=False)


def _retried(
    before: Workflow,
    now: float,
    parameters: Mapping[str, str] | None,
    restart_successful: bool,
    selector: str,
    lost: Mapping[str, tuple[str, str]],
    again: Collection[str] = (),
) -> Workflow:
    """The workflow as a retry leaves it. Raises RefusedError TIP216 where Argo would not retry it."""
    with _possible():
        after, _ = verbs.retried(
            before,
            rfc3339(now),
            parameters=parameters,
            restart_successful=restart_successful,
            selector=selector,
            again=again,
            lost=lost,
        )
    return after


def _relabelled(workflow: Workflow, now: Workflow) -> Workflow:
    """The workflow of a run with the labels and annotations that it has now."""
    metadata: ObjectMeta = {**workflow["metadata"]}
    labels = {key: value for key, value in (now["metadata"].get("labels") or {}).items() if key != _PHASE}
    if labels or metadata.get("labels"):
        metadata["labels"] = labels
    if annotations := now["metadata"].get("annotations"):
        metadata["annotations"] = annotations
    return {**workflow, "metadata": metadata}


def _lost(workflow: Workflow, store: Path | str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Nodes that would be kept, though what they made is not there any more: by ID, the step and what is the matter."""
    run = f"{workflow['metadata']['name']}."
    volumes = Store(store).volumes()
    known: dict[Reference, str] = {}
    for identity, node in (workflow["status"].get("nodes") or {}).items():
        if node["phase"] != "Succeeded" or not (node["type"] == "Pod" or is_hit(node)):
            continue
        for each in (node.get("outputs") or {}).get("parameters") or ():
            for found in references(each.get("value")):
                if found.digest and found not in known:
                    known[found] = verify(found, volumes)
                if problem := known.get(found):
                    yield identity, (node["name"].removeprefix(run).partition("(")[0], problem)


def _failed(workflow: Workflow) -> bool:
    """Whether anything in it has failed so far."""
    nodes = workflow["status"].get("nodes") or {}
    return any(node["phase"] in FAILED for node in nodes.values())


def _cut_off(workflow: Workflow) -> Workflow:
    """The workflow of a killed engine without what was under way; groups that were open stay open."""
    nodes = workflow["status"].get("nodes") or {}
    open_ = {identity for identity, node in nodes.items() if node["phase"] in ACTIVE}
    gone = {identity for identity in open_ if nodes[identity]["type"] not in HOLDERS}
    for identity in gone:
        del nodes[identity]
    for node in nodes.values():
        left = [child for child in node.get("children") or () if child not in gone]
        if len(left) < len(node.get("children") or ()):
            node["children"] = left
            if node["type"] in HOLDERS:  # a daemon ran in a group that had ended
                node["phase"], node["finishedAt"] = "Running", None
    workflow["status"]["phase"] = "Error"
    return workflow


@contextlib.contextmanager
def _possible() -> Iterator[None]:
    try:
        yield
    except verbs.ImpossibleError as error:
        raise RefusedError("TIP216", error.message, cause=error.cause, fix=error.fix) from error
