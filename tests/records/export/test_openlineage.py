"""Events, judged by the official schemas (tests/records/export/openlineage) and, where it is installed, the official
client: ``TIPHYS_OPENLINEAGE=VENV/bin/python`` names a Python that has ``openlineage-python``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from tests.records.export.records import DIGEST, hostile, trained, training
from tiphys.records.export.openlineage import dataset, run_events
from tiphys.records.record import RunRecord, StepRecord

SCHEMAS = {
    schema["$id"]: schema
    for schema in (json.loads(file.read_text()) for file in Path(__file__).parent.glob("openlineage/*.json"))
}
REGISTRY = Registry().with_resources(
    [(name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items()]
)
FORMATS = FormatChecker(formats=())
FORMATS.checks("uuid", ValueError)(lambda value: bool(uuid.UUID(value)))
FORMATS.checks("date-time", ValueError)(lambda value: datetime.fromisoformat(value).tzinfo is not None)
FORMATS.checks("uri")(
    lambda value: re.fullmatch(r"[a-z]+:(%[0-9A-F]{2}|[\w.~:/?#@!$&'()*+,;=-])*", value, re.A)
)


def judged(record: RunRecord, **options: str) -> list[Any]:
    """The events as they are on the wire, each of them and all their facets found valid."""
    events = [json.loads(json.dumps(event)) for event in run_events(record, **options)]
    for event in events:
        check("https://openlineage.io/spec/2-0-2/OpenLineage.json", event)
        assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        for holder in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
            for name, facet in holder["facets"].items():
                address = facet["_schemaURL"].partition("#")[0]
                assert name in SCHEMAS[address]["properties"]
                check(address, {name: facet})
    starts = Counter(event["run"]["runId"] for event in events if event["eventType"] == "START")
    ends = Counter(event["run"]["runId"] for event in events if event["eventType"] != "START")
    assert set(starts.values()) <= {1} and set(ends.values()) <= {1} and ends.keys() <= starts.keys()
    if record.finished:
        assert ends == starts
    return events


def check(schema: str, value: object) -> None:
    errors = Draft202012Validator({"$ref": schema}, registry=REGISTRY, format_checker=FORMATS).iter_errors(
        value
    )
    assert [error.message for error in errors] == []


def told(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["eventType"], event["job"]["name"]) for event in events]


def test_a_run_its_steps_and_their_attempts(tmp_path: Path) -> None:
    record = trained(tmp_path)
    events = judged(record)
    assert told(events) == [
        ("START", "digits"),
        ("START", "digits.ingest"),
        ("COMPLETE", "digits.ingest"),
        ("START", "digits.train"),
        ("FAIL", "digits.train"),
        ("START", "digits.train"),
        ("COMPLETE", "digits.train"),
        ("COMPLETE", "digits"),
    ]  # what was skipped has none
    first, *steps, last = events
    assert {event["job"]["namespace"] for event in events} == {"tiphys://local"}
    assert first["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-28T03:00:00.000Z"
    code = first["job"]["facets"]["sourceCodeLocation"]
    assert (code["url"], code["version"]) == ("https://example.org/team/digits.git", "0123abc")
    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in steps} == {last["run"]["runId"]}
    assert [each["name"] for each in steps[1]["outputs"]] == ["data/a"]
    (used,), (made,) = steps[-1]["inputs"], steps[-1]["outputs"]
    assert (used["namespace"], used["name"]) == ("pvc://tiphys", "data/a")
    assert used["facets"]["version"]["datasetVersion"] == DIGEST
    assert (made["namespace"], made["name"]) == ("pvc://tiphys", "models/cnn-1")
    failed = steps[3]
    assert failed["outputs"] == [] and "exit code 3" in failed["run"]["facets"]["errorMessage"]["message"]
    assert run_events(record) == run_events(record)


def test_the_official_client_reads_them_and_writes_the_same(tmp_path: Path) -> None:
    python = os.environ.get("TIPHYS_OPENLINEAGE")
    if not python:
        pytest.skip("TIPHYS_OPENLINEAGE names no Python with openlineage-python")
    events = [*judged(trained(tmp_path)), *judged(hostile())]
    done = subprocess.run(
        [python, str(Path(__file__).with_name("openlineage_client.py"))],
        input="".join(json.dumps(event) + "\n" for event in events),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert bare([json.loads(line) for line in done.stdout.splitlines()]) == bare(events)


def bare(value: Any) -> Any:
    """Without the empty holders of facets that the client adds."""
    if isinstance(value, dict):
        return {
            key: bare(each)
            for key, each in value.items()
            if not (key.lower().endswith("facets") and each == {})
        }
    return [bare(each) for each in value] if isinstance(value, list) else value


def test_a_run_that_goes_on_has_no_end_yet(tmp_path: Path) -> None:
    done = trained(tmp_path)
    step = replace(training(done), phase="Running", finished=0.0)
    step = replace(
        step, attempts=(step.attempts[0], replace(step.attempts[1], phase="Running", finished=0.0))
    )
    going = replace(done, phase="Running", finished=0.0, steps=(done.steps[0], step))
    events = judged(going)
    assert told(events)[-2:] == [("FAIL", "digits.train"), ("START", "digits.train")]
    earlier = {event["run"]["runId"] for event in events}
    assert earlier == {event["run"]["runId"] for event in judged(done)}  # it is the same runs that end


def test_a_retry_begins_runs_anew(tmp_path: Path) -> None:
    done = trained(tmp_path)
    again = replace(done, started=done.started + 60)
    assert judged(again)[0]["run"]["runId"] != judged(done)[0]["run"]["runId"]
    assert judged(again)[1]["run"]["runId"] == judged(done)[1]["run"]["runId"]  # a step that was kept


STEP = StepRecord("n", "a", "t", "Pod", "Running", started=5.0)
RUN = RunRecord(
    "k", "k-x", "ns", "u", "local", "k", "Running", created=1.0, started=2.0, finished=9.0, steps=(STEP,)
)


@pytest.mark.parametrize(
    ("phase", "message", "end"),
    [
        ("Succeeded", "", "COMPLETE"),
        ("Failed", "child failed", "FAIL"),
        ("Error", "", "FAIL"),
        ("Failed", "Stopped with strategy 'Stop'", "ABORT"),
    ],
)
def test_ends(phase: str, message: str, end: str) -> None:
    events = judged(replace(RUN, phase=phase, message=message))
    assert told(events) == [("START", "k"), ("START", "k.a"), ("ABORT", "k.a"), (end, "k")]
    assert ("errorMessage" in events[-1]["run"]["facets"]) == bool(message)


def test_what_never_began() -> None:
    waiting = replace(RUN, phase="Pending", started=0.0, finished=0.0, steps=())
    assert run_events(waiting) == []
    refused = judged(replace(waiting, phase="Error", message="no such template", finished=3.0))
    assert told(refused) == [("START", "k"), ("FAIL", "k")]


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("pvc://tiphys/data/a/", ("pvc://tiphys", "data/a")),
        ("s3://bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("s3a://bucket/a", ("s3://bucket", "a")),
        ("gs://bucket/a", ("gs://bucket", "a")),
        ("abfss://box@acc.dfs.core.windows.net/a", ("abfss://box@acc.dfs.core.windows.net", "a")),
        ("hdfs://node:8020/a/b", ("hdfs://node:8020", "/a/b")),
        ("file:///a/b", ("file", "/a/b")),
        ("file://host/a", ("file://host", "/a")),
        ("https://me:word@host/a?b#c", ("https://host", "/a?b#c")),
        ("run/pod/main.tgz", ("tiphys://local", "run/pod/main.tgz")),
        ("pvc://tiphys", ("pvc://tiphys", "/")),
    ],
)
def test_names_of_things(uri: str, named: tuple[str, str]) -> None:
    assert dataset(uri, RUN) == named


@pytest.mark.parametrize(
    ("git", "url"),
    [
        ("a" * 40, "swh:1:rev:" + "a" * 40),
        ("https://me:word@example.org/a b.git@0123abc", ""),
        ("https://me:word@example.org/a.git@0123abc", "https://example.org/a.git"),
        ("git@example.org:team/a.git@0123abc", "ssh://git@example.org/team/a.git"),
        ("no commit", ""),
        ("http://[@abc", ""),
    ],
)
def test_where_the_code_is(git: str, url: str) -> None:
    (first, *_) = judged(replace(RUN, phase="Succeeded", made_from={"git": git}))
    assert first["job"]["facets"].get("sourceCodeLocation", {}).get("url", "") == url


def test_of_a_cluster() -> None:
    record = replace(RUN, source="blue", key="blue/ns/u", phase="Succeeded")
    assert dataset("pvc://tiphys/a", record) == ("pvc://blue/ns/tiphys", "a")
    (first, *_) = judged(record)
    assert first["job"]["namespace"] == "argo://blue/ns"
    assert first["run"]["facets"]["processing_engine"]["name"] == "Argo Workflows"
    assert judged(record, namespace="team")[0]["job"]["namespace"] == "team"


def test_hostile_values() -> None:
    events = judged(hostile())
    assert "secret" not in json.dumps([event["inputs"] for event in events])
    assert len(events) > 2
