"""From a Workflow object, of either engine, and the samples of its steps to what is known of the run."""

from __future__ import annotations

import hashlib
import json
import marshal
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tiphys.argo.artifacts import key_of, location_of
from tiphys.argo.made_from import MADE_FROM
from tiphys.argo.nodes import FAILED, is_hit, is_step, label
from tiphys.argo.pools import POOLS
from tiphys.argo.time import seconds
from tiphys.causes.cause import Ending, ReplicaEnd
from tiphys.causes.rules import cause_of
from tiphys.numbers import finite, number
from tiphys.records.record import (
    SAMPLED,
    ArtifactRecord,
    AttemptRecord,
    EventRecord,
    Point,
    RunRecord,
    StepRecord,
)
from tiphys.records.requests import Requests, memory_limits, requests
from tiphys.reference import references

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Arguments, Node, Outputs, Template, Workflow

__all__ = ["LOCAL", "fold", "when"]

LOCAL = "local"
_OF_A_RUN = ("shutdown", "suspend", "priority", "activeDeadlineSeconds", "serviceAccountName", "ttlStrategy")
"""What of a spec is of how a run is done, and not of what it does."""
_ADDED = ("arguments", "inputs", "metadata", "name", "outputs", "resources")
"""What comes back empty from a cluster (seen with 4.0.5) where a Workflow had nothing."""
_KIND = re.compile(r"""\bkind["']?\s*:\s*["']?([A-Za-z]+)""")  # a manifest with tags is no YAML yet
_KNOWN = 64  # Workflows whose sayings are kept
_MADE_BY = ("workflows.argoproj.io/workflow-template", "workflows.argoproj.io/cron-workflow")
_SCHEDULED = "workflows.argoproj.io/scheduled-time"
_LAST = 8  # events of an attempt that tell why it ended
_SUFFIX = re.compile(r"-[a-z0-9]{5}\Z")


def fold(
    workflow: Workflow, points: Iterable[Point | EventRecord] = (), *, source: str = LOCAL, key: str = ""
) -> RunRecord:
    """What is known of a run. ``key``: see :class:`RunRecord`; of a run of this machine its name, if none is given."""
    metadata, spec = workflow.get("metadata") or {}, workflow.get("spec") or {}
    status = workflow.get("status") or {}
    name, namespace, uid = metadata.get("name", ""), metadata.get("namespace", ""), metadata.get("uid", "")
    of_step: dict[str, list[Point]] = {}
    events: dict[str, list[EventRecord]] = {}
    for point in points:
        if isinstance(point, Point):
            of_step.setdefault(point.node, []).append(point)
        else:
            events.setdefault(point.node, []).append(point)
    annotations = metadata.get("annotations") or {}
    said = _says(workflow)
    return RunRecord(
        key=key or (name if source == LOCAL else f"{source}/{namespace}/{uid}"),
        name=name,
        namespace=namespace,
        uid=uid,
        source=source,
        pipeline=_pipeline(metadata),
        phase=status.get("phase") or "Pending",
        message=str(status.get("message") or ""),
        created=when(metadata.get("creationTimestamp")),
        started=when(status.get("startedAt")),
        finished=when(status.get("finishedAt")),
        progress=status.get("progress", ""),
        parameters=_values(spec.get("arguments")),
        outputs=_values(status.get("outputs")),
        labels=dict(metadata.get("labels") or {}),
        made_from={
            each.removeprefix(MADE_FROM): str(text)
            for each, text in annotations.items()
            if each.startswith(MADE_FROM)
        },
        config=_config(workflow, said),
        images=said.images,
        resources=dict(status.get("resourcesDuration") or {}),
        steps=_pinned(list(_steps(workflow, said, of_step, events))),
        scheduled=when(annotations.get(_SCHEDULED)),
    )


def _pipeline(metadata: ObjectMeta) -> str:
    """What the runs of one pipeline have in common: what their names are made from."""
    labels = metadata.get("labels") or {}
    for each in _MADE_BY:
        if labels.get(each):
            return labels[each]
    made = metadata.get("generateName") or _SUFFIX.sub("", metadata.get("name") or "")
    return made.rstrip("-")


@dataclass(frozen=True, slots=True)
class _Said:
    """What a Workflow says of all its runs, whatever their parameters."""

    digest: str
    images: tuple[str, ...]
    creates: Mapping[str, str]
    requests: Mapping[str, Requests]
    limits: Mapping[str, float]


_said: dict[bytes, _Said] = {}  # of the last, by what is said: the runs of a pipeline mostly say the same


def _says(workflow: Workflow) -> _Said:
    spec, status = dict(workflow.get("spec") or {}), workflow.get("status") or {}
    for each in (*_OF_A_RUN, "arguments"):
        spec.pop(each, None)
    stored = [status.get("storedWorkflowTemplateSpec"), status.get("storedTemplates")]
    pools = ((workflow.get("metadata") or {}).get("annotations") or {}).get(POOLS)
    try:
        known = hashlib.sha256(marshal.dumps([spec, stored, pools], 2)).digest()
    except ValueError:  # nested too deep
        known = b""
    said = _said.get(known) if known else None
    if said is None:
        said = _Said(
            hashlib.sha256(json.dumps(_written(spec), sort_keys=True).encode()).hexdigest(),
            tuple(sorted(_images(workflow))),
            dict(_created(workflow)),
            requests(workflow),
            memory_limits(workflow),
        )
        if len(_said) >= _KNOWN:
            _said.clear()
        _said[known] = said
    return said


def _written(value: object) -> object:
    """A spec without what the API server adds where nothing was written."""
    if isinstance(value, dict):
        return {key: _written(each) for key, each in value.items() if each or key not in _ADDED}
    return [_written(each) for each in value] if isinstance(value, list) else value


def _config(workflow: Workflow, said: _Said) -> str:
    given = sorted(_values((workflow.get("spec") or {}).get("arguments")).items())
    digest = hashlib.sha256(json.dumps([said.digest, given]).encode()).hexdigest()[:12]
    return f"{_pipeline(workflow.get('metadata') or {})}@{digest}"


def _steps(
    workflow: Workflow,
    said: _Said,
    points: Mapping[str, list[Point]],
    events: Mapping[str, list[EventRecord]],
) -> Iterator[StepRecord]:
    name = workflow["metadata"]["name"]
    shutdown = str((workflow.get("spec") or {}).get("shutdown") or "")
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    for identity, node in nodes.items():
        if not is_step(node):
            continue
        pods = [nodes[child] for child in node.get("children") or () if child in nodes]
        pods = [node] if node.get("type") != "Retry" else [pod for pod in pods if _is_attempt(pod)]
        ids = [str(pod.get("id") or identity) for pod in pods]
        own = sorted((point for each in ids for point in points.get(each, ())), key=lambda point: point.at)
        happened = [event for each in ids for event in _with_losses(events.get(each, ()))]
        inputs, outputs = _values(node.get("inputs")), _values(node.get("outputs"))
        uses, given = tuple(_artifacts(node.get("inputs"))), tuple(_artifacts(node.get("outputs")))
        taken = {item.uri for item in uses}
        template = str(node.get("templateName") or (node.get("templateRef") or {}).get("template") or "")
        asked = said.requests.get(template, Requests())
        yield StepRecord(
            node=identity,
            name=label(node, name),
            template=template,
            kind=str(node.get("type", "")),
            phase=str(node.get("phase", "")),
            message=str(node.get("message") or ""),
            hit=is_hit(node),
            started=when(node.get("startedAt")),
            finished=when(node.get("finishedAt")),
            inputs=inputs,
            outputs=outputs,
            metrics={**_reported(own), **_numbers(outputs)},
            uses=uses,
            makes=tuple(item for item in given if item.uri not in taken),
            said=tuple(item for item in given if item.uri in taken),
            creates=said.creates.get(template, ""),
            attempts=tuple(
                _attempts(node, pods, _Known(shutdown, said.limits.get(template, 0.0), own, happened))
            ),
            resources=_together(pods),
            requests=asked.own,
            gang=asked.gang,
            pool=asked.pool,
            points=tuple(own),
            events=tuple(sorted(happened, key=lambda event: event.at)),
        )


def _pinned(steps: Sequence[StepRecord]) -> tuple[StepRecord, ...]:
    """The steps, each artifact with the digest that any of them tells: a training gives a place, and who judges the
    model says what was there."""
    known = {
        item.uri: item.digest
        for step in steps
        for item in (*step.said, *step.makes, *step.uses)
        if item.digest
    }

    def pin(items: tuple[ArtifactRecord, ...]) -> tuple[ArtifactRecord, ...]:
        return tuple(
            replace(item, digest=known[item.uri]) if not item.digest and item.uri in known else item
            for item in items
        )

    def pinned(step: StepRecord) -> StepRecord:
        if all(item.digest or item.uri not in known for item in (*step.uses, *step.makes, *step.said)):
            return step
        return replace(step, uses=pin(step.uses), makes=pin(step.makes), said=pin(step.said))

    return tuple(map(pinned, steps))


def _is_attempt(node: Node) -> bool:
    return bool((node.get("nodeFlag") or {}).get("retried"))


class _Known(NamedTuple):
    """What beside its node tells why an attempt of a step ended. ``limit`` is that of its memory, in bytes."""

    shutdown: str
    limit: float
    points: Sequence[Point]
    events: Sequence[EventRecord]


def _attempts(step: Node, pods: Sequence[Node], known: _Known) -> Iterator[AttemptRecord]:
    for nth, pod in enumerate(pods, start=1):
        code = str((pod.get("outputs") or {}).get("exitCode", ""))
        identity = str(pod.get("id") or step.get("id") or "")
        attempt = AttemptRecord(
            node=identity,
            number=nth,
            phase=str(pod.get("phase", "")),
            message=str(pod.get("message") or ""),
            exit_code=int(code) if code.lstrip("-").isdigit() else None,
            started=when(pod.get("startedAt")),
            finished=when(pod.get("finishedAt")),
            host=str(pod.get("hostNodeName") or ""),
            pod=identity,
            resources=_together([pod]),
        )
        if attempt.phase in FAILED:
            attempt = replace(attempt, cause=cause_of(_ending(attempt, known)))
        yield attempt


def _ending(attempt: AttemptRecord, known: _Known) -> Ending:
    own = [event for event in known.events if event.node == attempt.node]
    ended = [event for event in own if event.event != "started"]
    used = [
        point.value
        for point in known.points
        if point.node == attempt.node and point.key in ("memory", "peak_memory")
    ]
    return Ending(
        phase=attempt.phase,
        message=attempt.message,
        exit_code=attempt.exit_code,
        memory=max(used, default=0.0),
        memory_limit=known.limit,
        events=tuple(ReplicaEnd(event.event, event.message, event.exit_code) for event in ended[-_LAST:]),
        shutdown=known.shutdown,
    )


def _with_losses(events: Iterable[EventRecord]) -> Iterator[EventRecord]:
    """The events of one attempt, each start with the seconds since the same replica had ended."""
    ended: dict[str, float] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.event == "started":
            since = ended.pop(event.worker, event.at)
            yield replace(event, lost=round(max(event.at - since, 0.0), 3))
            continue
        if event.event != "restarted":
            ended[event.worker] = event.at
        yield event


def _together(pods: Iterable[Node]) -> dict[str, int]:
    """What pods had. Argo writes on other nodes the sum over all that they lead to, also over later steps."""
    total: dict[str, int] = {}
    for pod in pods:
        if pod.get("type") == "Pod":
            for name, units in (pod.get("resourcesDuration") or {}).items():
                total[name] = total.get(name, 0) + int(units)
    return total


def _reported(points: Iterable[Point]) -> dict[str, float]:
    """The last value of everything that was reported, of a gang the first replica's; of what was sampled, memory's
    highest."""
    found: dict[str, float] = {}
    others: dict[str, float] = {}
    for point in points:
        if point.key in ("memory", "peak_memory"):
            found["peak_memory"] = max(found.get("peak_memory", 0.0), point.value)
        elif point.key not in (*SAMPLED, "epoch", "of"):
            (others if point.worker and not point.worker.endswith("-0") else found)[point.key] = point.value
    return {**others, **found}


def _numbers(outputs: Mapping[str, str]) -> dict[str, float]:
    """The outputs that are numbers, and the numbers of those that are JSON objects (a report), by their own names."""
    found: dict[str, float] = {}
    for name, text in outputs.items():
        if (value := number(text)) is not None:
            found[name] = value
        elif text[:1] == "{" and len(text) <= 65536:
            try:
                inside = json.loads(text)
            except (ValueError, RecursionError):
                continue
            for key, each in inside.items():
                if not math.isnan(told := finite(each)):
                    found[str(key)] = told
    return found


def _values(part: Arguments | Outputs | None) -> dict[str, str]:
    return {
        str(item["name"]): str(item["value"])
        for item in (part or {}).get("parameters") or ()
        if item.get("name") and item.get("value") is not None
    }


def _artifacts(part: Arguments | Outputs | None) -> Iterator[ArtifactRecord]:
    """What the parameters point to, at any depth, and the artifacts; each place once."""
    seen: set[str] = set()
    for item in (part or {}).get("parameters") or ():
        text = str(item.get("value", ""))
        for reference in references(text) if "/" in text else ():
            if reference.uri not in seen:
                seen.add(reference.uri)
                yield ArtifactRecord(reference.uri, reference.digest, str(item.get("name", "")))
    for artifact in (part or {}).get("artifacts") or ():
        uri = _place(artifact)
        if uri and uri not in seen:
            seen.add(uri)
            yield ArtifactRecord(uri, "", str(artifact.get("name", "")))


def _place(artifact: Mapping[str, object]) -> str:
    """``s3://BUCKET/KEY``, or the same of another kind of store; empty where there is no key yet."""
    found, key = location_of(artifact), key_of(artifact)
    if found is None or not key or "://" in key:
        return key
    kind, settings = found
    return f"{kind}://{settings.get('bucket') or settings.get('container') or ''}/{key.lstrip('/')}"


def _created(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """The kind of the object that each resource template makes."""
    for template in _templates(workflow):
        resource = template.get("resource") or {}
        if resource.get("action") in ("create", "apply"):
            kind = _KIND.search(str(resource.get("manifest") or ""))
            if kind:
                yield str(template.get("name") or ""), kind.group(1)


def _templates(workflow: Workflow) -> Sequence[Template]:
    status = workflow.get("status") or {}
    return [
        *((workflow.get("spec") or {}).get("templates") or ()),
        *((status.get("storedWorkflowTemplateSpec") or {}).get("templates") or ()),
    ]


def _images(workflow: Workflow) -> set[str]:
    """The images that the templates name."""
    found: set[str] = set()
    for template in _templates(workflow):
        for container in (
            template.get("container"),
            template.get("script"),
            *(template.get("initContainers") or ()),
            *(template.get("sidecars") or ()),
            *((template.get("containerSet") or {}).get("containers") or ()),
        ):
            image = (container or {}).get("image")
            if image:
                found.add(str(image))
    return found


def when(text: object) -> float:
    """A time of Kubernetes' in seconds since the epoch; 0: there is none."""
    return _seconds(str(text)) if text else 0.0


@lru_cache(maxsize=4096)  # the nodes of a run share their seconds
def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        return 0.0
