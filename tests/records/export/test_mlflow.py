"""Runs into MLflow: against a small server of our own, and against a real one where ``TIPHYS_MLFLOW`` names its program
(``VENV/bin/mlflow``; what is there is then read back with the official client of the same environment).

The own server is held against recorded answers of a real one:

TIPHYS_MLFLOW=VENV/bin/mlflow python -m tests.records.export.test_mlflow    writes mlflow_answers.json anew
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.records.export.mlflow_server import API, Fake, Refusal, Server, real
from tests.records.export.records import DIGEST, hostile
from tiphys.errors import RefusedError, StoreError
from tiphys.records.export.mlflow import Exported, Mirror
from tiphys.records.export.mlflow_runs import key_of, value_of, wanted
from tiphys.records.export.rest import Rest
from tiphys.records.record import ArtifactRecord, AttemptRecord, Point, RunRecord, StepRecord

PROGRAM = os.environ.get("TIPHYS_MLFLOW", "")
ANSWERS = Path(__file__).with_name("mlflow_answers.json")
NOON = 1_764_331_200.0


def run(epochs: int = 10, uid: str = "u-1", **more: Any) -> RunRecord:
    """A run whose training has told so many epochs."""
    points = tuple(
        Point("n-2", NOON + epoch, key, value, epoch, worker)
        for epoch in range(1, epochs + 1)
        for key, value, worker in (
            ("accuracy", 1 - 1 / epoch, ""),
            ("loss", 1 / epoch, ""),
            ("loss", 1.5 / epoch, "worker-1"),
        )
    )
    ingest = StepRecord("n-1", "ingest", "ingest", "Pod", "Succeeded", started=NOON, finished=NOON)
    train = StepRecord(
        "n-2", "train(0:cnn)", "train", "Retry", "Succeeded",
        started=NOON, finished=NOON + 99,
        inputs={"model": "cnn", "rate": "1e-3"},
        metrics={"accuracy": 0.5, "rows": 60000.0, "peak_memory": 2e9},
        makes=(ArtifactRecord("pvc://tiphys/models/cnn-1", DIGEST, "model"),),
        attempts=(AttemptRecord("n-3", 1, "Succeeded"),),
        points=points,
    )  # fmt: skip
    return replace(
        RunRecord(
            f"digits-{uid}", f"digits-{uid}", "argo", uid, "local", "digits", "Succeeded",
            created=NOON, started=NOON, finished=NOON + 100,
            parameters={"model": "cnn", "seed": "7"}, labels={"team": "blue"},
            made_from={"git": "https://example.org/digits.git@0123abc"}, images=("python:3.12",),
            steps=(ingest, train),
        ),
        **more,
    )  # fmt: skip


def going(record: RunRecord) -> RunRecord:
    ingest, train = record.steps
    train = replace(train, phase="Running", finished=0.0, makes=())
    return replace(record, phase="Running", finished=0.0, steps=(ingest, train))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server."""
    with real(PROGRAM, tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture(
    params=[
        "own",
        pytest.param("real", marks=pytest.mark.skipif(not PROGRAM, reason="TIPHYS_MLFLOW is not set")),
    ]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(request.getfixturevalue("program") if request.param == "real" else "")
    yield made
    made.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An experiment for each test: the real server keeps what others did."""
    return str(request.node.name)


def put(server: Server, record: RunRecord, name: str) -> Exported:
    """As another process would."""
    return Mirror(Rest(server.uri, sleep=[].append), name).put(record)


def there(server: Server, name: str) -> dict[str, Any]:
    """What the server has of an experiment, by run; read with the official client where there is one."""
    if server.upstream:
        client = Path(PROGRAM).with_name("python")
        script = Path(__file__).with_name("mlflow_client.py")
        environment = {**os.environ, "MLFLOW_TRACKING_URI": server.upstream, "GIT_PYTHON_REFRESH": "quiet"}
        done = subprocess.run(
            [str(client), str(script), name],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    fake = server.fake
    identity = fake.experiments_get_by_name(name)["experiment"]["experiment_id"]
    return {
        own: {
            "name": each["info"]["run_name"],
            "status": each["info"]["status"],
            "times": [each["info"]["start_time"], each["info"].get("end_time", 0)],
            "params": each["params"],
            "tags": each["tags"],
            "metrics": {
                key: sorted(
                    ([at, step, value] for k, at, step, value in fake.points[own] if k == key), key=str
                )
                for key in {point[0] for point in fake.points[own]}
            },
        }
        for own, each in fake.runs.items()
        if each["info"]["experiment_id"] == identity
    }


def same(found: dict[str, Any], record: RunRecord) -> None:
    """Whether exactly the record is there: parameters, every point of every series, tags, times."""
    runs = list(wanted(record))
    by_node = {each["tags"]["tiphys.node"]: (own, each) for own, each in found.items()}
    assert len(found) == len(by_node) == len(runs)
    for each in runs:
        _, has = by_node[each.node]
        assert (has["name"], has["status"]) == (each.name, each.status)
        assert has["times"] == [each.started, each.ended]
        assert has["params"] == each.params
        tags = {**has["tags"]}
        assert tags.pop("mlflow.runName") == each.name
        assert tags.pop("mlflow.parentRunId", by_node[""][0]) == by_node[""][0]
        assert ("tiphys.exported" in tags) == (not each.node)
        tags.pop("tiphys.exported", None)
        assert tags == each.tags
        expected = {key: sorted(map(list, samples), key=str) for key, samples in each.metrics.items()}
        assert {key: sorted(values, key=str) for key, values in has["metrics"].items()} == expected


def test_there_is_what_the_record_says(server: Server, name: str) -> None:
    record = run()
    done = put(server, record, name)
    assert (done.runs, done.points, done.params, done.notes) == (2, 33, 4, [])
    found = there(server, name)
    same(found, record)
    (step,) = [each for each in found.values() if each["tags"]["tiphys.node"]]
    assert [[epoch, value] for _, epoch, value in step["metrics"]["loss"]] == [
        [n, 1 / n] for n in range(1, 11)
    ]
    assert done.url == f"{server.uri}/#/experiments/{done.experiment}/runs/{done.run}"


def test_a_repeat_asks_and_sends_nothing(server: Server, name: str) -> None:
    put(server, run(), name)
    before, asked = there(server, name), len(server.seen)
    again = put(server, run(), name)
    assert (again.runs, again.points, again.params, again.tags, again.models) == (0, 0, 0, 0, 0)
    assert server.calls[asked:] == ["experiments/get-by-name", "runs/search"]
    assert there(server, name) == before


@pytest.mark.parametrize("fault", ["before", "after", "503", "500"])
def test_cut_off_after_each_request_and_exported_again(server: Server, name: str, fault: str) -> None:
    """Whatever an export that was killed has sent, the next one sends the rest."""
    put(server, run(), f"{name}-whole")
    total = len(server.headers)
    for cut in range(1, total + 1, 4 if server.upstream else 1):
        began, record = len(server.headers), run(uid=f"{fault}-{cut}")
        server.fault = lambda number, path, last=began + cut: fault if number >= last else ""
        with contextlib.suppress(StoreError):  # the last requests may be spared: the model is known by then
            put(server, record, f"{name}-{cut}")
        server.fault = lambda number, path: ""
        put(server, record, f"{name}-{cut}")
        same(there(server, f"{name}-{cut}"), record)


@pytest.mark.parametrize("fault", ["before", "after", "503", "500"])
def test_one_request_that_fails_is_sent_again(server: Server, name: str, fault: str) -> None:
    put(server, run(), f"{name}-whole")
    total = len(server.headers)
    for cut in range(2, total + 1, 4 if server.upstream else 1):
        began, record = len(server.headers), run(uid=f"{fault}-{cut}-one")
        server.fault = lambda number, path, last=began + cut: fault if number == last else ""
        done = put(server, record, f"{name}-{cut}")
        same(there(server, f"{name}-{cut}"), record)
        assert done.notes == []
    versions = server.fake.models.get("digits.train(0-cnn)", [])
    assert len({each["source"] for each in versions}) == len(versions)


def test_a_run_that_goes_on(server: Server, name: str) -> None:
    mirror = Mirror(Rest(server.uri), name)
    sent = [mirror.put(going(run(epochs))).points for epochs in (0, 1, 4, 4, 10)]
    assert sent == [0, 3, 9, 0, 18]
    same(there(server, name), going(run()))
    assert "metrics/get-history" not in server.calls  # it knows what it sent
    assert mirror.put(run()).points == 3  # the results
    same(there(server, name), run())


def test_of_more_epochs_only_the_new_ones_are_sent(server: Server, name: str) -> None:
    put(server, going(run(6)), name)
    assert put(server, run(10), name).points == 12 + 3
    same(there(server, name), run(10))


def test_a_parameter_that_changed_stays_and_is_told(server: Server, name: str) -> None:
    put(server, run(), name)
    done = put(server, run(parameters={"model": "cnn", "seed": "8"}, message="again"), name)
    (note,) = done.notes
    assert "seed stays '7'" in note
    (whole,) = [each for each in there(server, name).values() if not each["tags"]["tiphys.node"]]
    assert whole["params"]["seed"] == "7" and whole["tags"]["tiphys.message"] == "again"


def test_models(server: Server, name: str) -> None:
    first, second = (run(uid=f"{uid}-{name[-4:-1]}") for uid in ("a", "b"))
    uri = f"pvc://tiphys/models/{name}"
    first, second, third = (
        replace(
            each,
            pipeline=name,
            steps=(each.steps[0], replace(each.steps[1], makes=(ArtifactRecord(uri, digest),))),
        )
        for each, digest in (
            (first, DIGEST),
            (second, DIGEST),
            (replace(second, uid="c", name="latest"), DIGEST[:-1] + "1"),
        )
    )
    assert [put(server, each, name).models for each in (first, second, third, third)] == [1, 0, 1, 0]
    calls = [(path, asked) for method, path, asked, *_ in server.seen if method == "POST"]
    assert len([path for path, _ in calls if path == "model-versions/create"]) == 2
    aliases = [
        (asked["alias"], asked["version"]) for path, asked in calls if path == "registered-models/alias"
    ]
    assert aliases == [(first.name, "1"), (second.name, "1"), ("run-latest", "2")]
    if server.upstream:
        model = calls[-1][1].get("name") or next(asked["name"] for path, asked in calls if "alias" in path)
        client, script = Path(PROGRAM).with_name("python"), Path(__file__).with_name("mlflow_client.py")
        environment = {**os.environ, "MLFLOW_TRACKING_URI": server.upstream}
        done = subprocess.run(
            [str(client), str(script), "--model", model], env=environment, capture_output=True, text=True, timeout=120,
            check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == {
            first.name: [uri, "1"],
            second.name: [uri, "1"],
            "run-latest": [uri, "2"],
        }


def test_a_model_that_the_server_refuses_is_told(server: Server, name: str) -> None:
    record = run()
    made = ArtifactRecord("pvc://tiphys/models/../a")
    done = put(server, replace(record, steps=(replace(record.steps[1], makes=(made,)),)), name)
    (note,) = done.notes
    assert "was not registered" in note


def test_hostile_values(server: Server, name: str) -> None:
    put(server, hostile(), name)
    same(there(server, name), hostile())
    assert put(server, hostile(), name).points == 0


def test_what_mlflow_cannot_hold_is_kept_as_near_as_it_can(server: Server, name: str) -> None:
    numbers = (math.nan, math.inf, -math.inf)
    points = tuple(Point("n-2", NOON + n, "😀#", number, n) for n, number in enumerate(numbers, 1))
    record = run()
    put(server, replace(record, steps=(replace(record.steps[1], points=points),)), name)
    (step,) = [each for each in there(server, name).values() if each["tags"]["tiphys.node"]]
    assert [value for _, _, value in step["metrics"][key_of("😀#")]] == [
        value_of(number) for number in numbers
    ]


def test_many_points(server: Server, name: str) -> None:
    """A killed export of many points goes on: only what lacks is sent."""
    most = 100_000 if server.upstream else 5_000
    record = run()
    points = tuple(Point("n-2", NOON + n / 10, "loss", 1 / n, n) for n in range(1, most + 1))
    record = replace(record, steps=(replace(record.steps[1], points=points, metrics={}),))
    server.fault = lambda number, path: "before" if server.calls.count("runs/log-batch") >= 5 else ""
    with pytest.raises(StoreError):
        put(server, record, name)
    server.fault = lambda number, path: ""
    assert most - 3000 >= put(server, record, name).points >= most - 5000
    same(there(server, name), record)


def test_a_deleted_experiment() -> None:
    server = Server()
    server.fake.experiments_create("x")
    server.fake.experiments["1"]["lifecycle_stage"] = "deleted"
    with pytest.raises(StoreError, match="TIP435") as raised:
        put(server, run(), "x")
    assert "restore" in raised.value.fix
    server.close()


@pytest.mark.parametrize("experiment", [" ", "x" * 501])
def test_names_of_experiments(experiment: str) -> None:
    with pytest.raises(RefusedError, match="TIP289"):
        Mirror(Rest("http://localhost:1"), experiment)


# -- the own server, held against recorded answers -----------------------------------------------------------------


def exchange(server: Server) -> None:
    """Every call that an export makes, and the refusals that it expects."""
    record = run(2)
    put(server, going(record), "digits")
    put(server, record, "digits")
    refused = replace(record.steps[1], makes=(ArtifactRecord("pvc://tiphys/models/../a"),))
    put(server, replace(record, uid="u-2", steps=(refused,)), "digits")
    api = Rest(server.uri)
    api.post(f"{API[1:]}experiments/create", {"name": "digits"}, allowed=["RESOURCE_ALREADY_EXISTS"])
    own = next(each[4]["run"]["info"]["run_id"] for each in server.seen if each[1] == "runs/create")
    for params, metrics in (({"key": "seed", "value": "8"}, []), ({"key": "a#", "value": ""}, [])):
        body = {"run_id": own, "params": [params], "metrics": metrics}
        api.post(f"{API[1:]}runs/log-batch", body, allowed=["INVALID_PARAMETER_VALUE"])


def test_our_server_answers_as_a_real_one_did() -> None:
    """Each recorded request, in its order, with the identities that our server gives."""
    fake, ours = Fake(), {}
    recorded = json.loads(ANSWERS.read_text())
    assert len({each["path"] for each in recorded}) == 11
    for each in recorded:
        text = json.dumps(each["asked"])
        for theirs, own in ours.items():
            text = text.replace(theirs, own)
        try:
            status, answer = 200, fake.call(each["path"], json.loads(text))
        except Refusal as error:
            status, answer = error.status, {"error_code": error.code}
        if "run" in answer:
            ours[each["answer"]["run"]["info"]["run_id"]] = answer["run"]["info"]["run_id"]
        assert (status, answer.get("error_code")) == (each["status"], each["answer"].get("error_code"))
        if status == 200:
            text = json.dumps(each["answer"])
            for theirs, own in ours.items():
                text = text.replace(theirs, own)
            assert within(answer, json.loads(text)), each["path"]


def within(ours: Any, theirs: Any) -> bool:
    """Whether a real answer says all that ours says."""
    if isinstance(ours, dict):
        return all(name in theirs and within(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(any(within(value, each) for each in theirs) for value in ours)
    return bool(ours == theirs)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, real(PROGRAM, Path(place)) as address:
        made = Server(address)
        exchange(made)
        ANSWERS.write_text(
            json.dumps(
                [
                    {"path": path, "asked": asked, "status": status, "answer": answer}
                    for _, path, asked, status, answer in made.seen
                ],
                indent=1,
            )
            + "\n"
        )
