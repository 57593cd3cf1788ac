"""A run as OpenLineage events (specification 2-0-2): what started, what ended, what was read and what was made.

The workflow is a job, and so is each of its steps; every attempt of a step is a run of the step's job, whose parent is
the workflow's. What was skipped never ran, and has no event. The identity of a run is made from the UID of the
workflow, the node and the time at which it began: equal for every export, and another one when `retry` begins it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from tiphys._version import __version__
from tiphys.jsontypes import Json, JsonObject
from tiphys.records.export.common import Outcome, clean, identity, outcome, who
from tiphys.records.fold import LOCAL
from tiphys.records.record import ArtifactRecord, AttemptRecord, RunRecord, StepRecord

__all__ = ["PRODUCER", "SCHEMA", "dataset", "job_namespace", "lines", "run_events"]

PRODUCER = f"https://tiphys.dev/{__version__}"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_ENDS: Mapping[Outcome, str] = {"done": "COMPLETE", "failed": "FAIL", "stopped": "ABORT"}
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.S)
_SAME = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_TREES = ("hdfs", "dbfs", "http", "https")
"""Schemes whose names are paths from a root; the others' are keys of objects."""
_GIT = re.compile(
    r"(?P<url>(?:https?|ssh|git)://[^\s@#]*(?:@[^\s@#]+)?|[\w.-]+@[\w.-]+:[^\s@#]+)[@#](?P<version>\w+)"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def run_events(record: RunRecord, *, namespace: str = "") -> list[JsonObject]:
    """The events of a run in order of time; a run that goes on has no end yet. ``namespace`` is that of its jobs."""
    if not _began(record):
        return []
    place = namespace or job_namespace(record)
    events = [event for step in record.steps for event in _step(record, step, place)]
    events.sort(key=lambda event: str(event["eventTime"]))
    started = _began(record)
    facets: JsonObject = {**_engine(record), **_tags(_told(record)), **_parameters(record.parameters)}
    if record.scheduled:
        facets["nominalTime"] = _facet(
            "1-0-1/NominalTimeRunFacet", nominalStartTime=_moment(record.scheduled)
        )
    own = _identity(record, "", started)
    run, job = _run(own, facets), _job(place, _workflow(record), "DAG", record)
    found = [_event("START", started, run, job), *events]
    ended = outcome(record.phase, record.message)
    if ended:
        end = max([record.finished, started, *(step.finished for step in record.steps)])
        run = _run(own, {**facets, **_error(ended, record.message)})
        found.append(_event(_ENDS[ended], end, run, job))
    return found


def lines(records: Iterable[RunRecord], *, namespace: str = "") -> str:
    """The events of runs, one on a line."""
    return "".join(
        json.dumps(event) + "\n" for record in records for event in run_events(record, namespace=namespace)
    )


def job_namespace(record: RunRecord) -> str:
    """Where the jobs of a run are: ``tiphys://local``, or ``argo://CLUSTER/NAMESPACE``."""
    return "tiphys://local" if record.source == LOCAL else f"argo://{record.source}/{record.namespace}"


def dataset(uri: str, record: RunRecord, namespace: str = "") -> tuple[str, str]:
    """The namespace and the name of a thing, by OpenLineage's naming conventions (openlineage.io/docs/spec/naming).

    A claim is a datasource of its own. Its name says nothing outside its cluster, so a cluster's is
    ``pvc://CLUSTER/NAMESPACE/CLAIM``. What has no scheme (the key of an artifact) is in the namespace of the jobs.
    """
    found = _SCHEME.fullmatch(uri)
    if not found:
        return namespace or job_namespace(record), clean(uri) or "/"
    scheme = _SAME.get(found[1].lower(), found[1].lower())
    authority, _, path = clean(found[2]).partition("/")
    path = path.rstrip("/")
    user, at, host = authority.rpartition("@")
    if at and ":" in user:  # a password
        authority = host
    if scheme == "file":
        return ("file" if authority in ("", "localhost") else f"file://{authority}"), f"/{path}"
    if scheme == "pvc" and record.source != LOCAL:
        authority = f"{record.source}/{record.namespace}/{authority}"
    name = f"/{path}" if scheme in _TREES else path.lstrip("/")
    return f"{scheme}://{authority}", name or "/"


def _step(record: RunRecord, step: StepRecord, place: str) -> Iterator[JsonObject]:
    """The events of each attempt; the last one made what the step made."""
    goes_on = not outcome(record.phase)
    job = _job(place, f"{_workflow(record)}.{step.name}", "TASK", record)
    parent: JsonObject = {
        "run": {"runId": _identity(record, "", _began(record))},
        "job": {"namespace": place, "name": _workflow(record)},
    }
    attempts = step.attempts or (AttemptRecord(step.node, 1, step.phase),)
    several = len(attempts) > 1
    for attempt in attempts:
        last = attempt is attempts[-1]
        of = attempt if several else step
        if not of.started or of.phase in ("Skipped", "Omitted"):
            continue
        ended = outcome(of.phase, of.message) or ("" if goes_on else "stopped")
        told = {"tiphys.node": attempt.node, "tiphys.template": step.template}
        if several:
            told["tiphys.attempt"] = str(attempt.number)
        if step.hit:
            told["tiphys.hit"] = "true"
        facets: JsonObject = {
            "parent": _facet("1-2-0/ParentRunFacet", **parent, root=parent),
            **_engine(record),
            **_tags(told),
            **_parameters(step.inputs),
        }
        own = _identity(record, attempt.node, of.started)
        inputs = _datasets(step.uses, record, place)
        yield _event("START", of.started, _run(own, facets), job, inputs)
        if ended:
            outputs = _datasets(step.makes, record, place) if last and ended == "done" else []
            run = _run(own, {**facets, **_error(ended, of.message)})
            end = max(of.finished or record.finished, of.started)
            yield _event(_ENDS[ended], end, run, job, inputs, outputs)


def _event(
    kind: str,
    at: float,
    run: JsonObject,
    job: JsonObject,
    inputs: Iterable[Json] = (),
    outputs: Iterable[Json] = (),
) -> JsonObject:
    return {
        "eventType": kind,
        "eventTime": _moment(at),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": run,
        "job": job,
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def _run(own: str, facets: JsonObject) -> JsonObject:
    return {"runId": own, "facets": facets}


def _job(place: str, name: str, kind: str, record: RunRecord) -> JsonObject:
    facets: JsonObject = {
        "jobType": _facet("2-0-4/JobTypeJobFacet", processingType="BATCH", integration="TIPHYS", jobType=kind)
    }
    facets.update(_code(record.made_from.get("git", "")))
    return {"namespace": place, "name": clean(name), "facets": facets}


def _code(git: str) -> JsonObject:
    """Where the code is: ``URL@COMMIT``, or a commit alone, whose identity is its SWHID."""
    found = _GIT.fullmatch(git)
    url = _address(found["url"]) if found else f"swh:1:rev:{git}" if _COMMIT.fullmatch(git) else ""
    if not url:
        return {}
    more: JsonObject = {"repoUrl": url, "version": found["version"]} if found else {"version": git}
    return {"sourceCodeLocation": _facet("1-1-0/SourceCodeLocationJobFacet", type="git", url=url, **more)}


def _workflow(record: RunRecord) -> str:
    return record.pipeline or record.name or "workflow"


def _datasets(items: Iterable[ArtifactRecord], record: RunRecord, place: str) -> list[Json]:
    """Each thing once, with its digest as its version where one is known."""
    found: dict[tuple[str, str], JsonObject] = {}
    for item in items:
        namespace, name = dataset(item.uri, record, place)
        facets = found.setdefault((namespace, name), {})
        if item.digest:
            facets["version"] = _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=item.digest)
    return [
        {"namespace": namespace, "name": name, "facets": facets}
        for (namespace, name), facets in found.items()
    ]


def _engine(record: RunRecord) -> JsonObject:
    """What ran it. Of a cluster's Argo the Workflow does not tell the version."""
    local = record.source == LOCAL
    return {
        "processing_engine": _facet(
            "1-1-1/ProcessingEngineRunFacet",
            name="Tiphys" if local else "Argo Workflows",
            version=(record.made_from.get("tiphys") or __version__) if local else "unknown",
            openlineageAdapterVersion=__version__,
        )
    }


def _told(record: RunRecord) -> dict[str, str]:
    """What OpenLineage has no facet for."""
    return {
        "tiphys.key": record.key,
        "tiphys.source": record.source,
        **{f"tiphys.from-{name}": text for name, text in record.made_from.items()},
        **({"tiphys.images": " ".join(record.images)} if record.images else {}),
        **record.labels,
    }


def _tags(told: Mapping[str, str]) -> JsonObject:
    tags: list[Json] = [
        {"key": clean(key), "value": clean(text), "source": "TIPHYS"} for key, text in told.items()
    ]
    return {"tags": _facet("1-0-0/TagsRunFacet", tags=tags)}


def _parameters(values: Mapping[str, str]) -> JsonObject:
    if not values:
        return {}
    found: list[Json] = [
        {"key": clean(name), "name": clean(name), "value": clean(text)} for name, text in values.items()
    ]
    return {"executionParameters": _facet("1-0-0/ExecutionParametersRunFacet", parameters=found)}


def _error(ended: Outcome, message: str) -> JsonObject:
    if ended == "done" or not message:
        return {}
    facet = _facet("1-0-1/ErrorMessageRunFacet", message=clean(message), programmingLanguage="unknown")
    return {"errorMessage": facet}


def _facet(schema: str, **fields: Json) -> JsonObject:
    name = schema.partition("/")[2]
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"{_FACETS}/{schema}.json#/$defs/{name}",
        **fields,
    }


def _began(record: RunRecord) -> float:
    """0 for a run that has not begun; one that ended before it began did so when it was made."""
    return record.started or ((record.created or record.finished) if outcome(record.phase) else 0.0)


def _identity(record: RunRecord, node: str, started: float) -> str:
    return identity(who(record), node, _moment(started))


def _moment(at: float) -> str:
    inside = min(max(at, 0.0), _LATEST) if at == at else 0.0
    return datetime.fromtimestamp(inside, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _address(url: str) -> str:
    """A git address as a URI, without who reads it; empty for what is none."""
    if "://" not in url:
        user, _, path = url.partition(":")
        url = f"ssh://{user}/{path}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc if parts.scheme == "ssh" else parts.netloc.rpartition("@")[2]
    return quote(f"{parts.scheme}://{host}{parts.path}", safe=":/@%~")
