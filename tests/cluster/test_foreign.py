"""Workflows written with plain Hera, and every small pipeline here: emitted, accepted and run, by both ways in.

Annotations are not postponed in this file: Hera reads those of script functions as classes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.cluster.conftest import ROOT, Cluster, connect

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]

# test_mission.py; what needs an image with PyTorch or pandas; what needs data in a bucket
TRAIN = ("fashion-mnist", "pytorch-ddp", "houses", "batch-inference")
GOLDEN = sorted(path for path in (ROOT / "tests" / "golden").glob("*.yaml") if path.stem not in TRAIN)
IMAGE = "tiphys/step:0.1.0"
GREETING = 'it\'s 100% {ok}: "yes" & <no>'


def hera_workflow() -> Any:
    """A coin that is thrown until heads, a loop over a list that a step made, and a diamond, as Hera's users write."""
    from hera.workflows import DAG, Parameter, Steps, Workflow, script

    @script(image=IMAGE, command=["python"])
    def flip() -> None:
        import random
        import sys

        sys.stdout.write("heads" if random.random() < 0.6 else "tails")

    @script(image=IMAGE, command=["python"])
    def numbers() -> None:
        import json
        import sys

        json.dump([1, 2, 3], sys.stdout)

    @script(
        image=IMAGE, command=["python"], outputs=Parameter(name="square", value_from={"path": "/tmp/square"})
    )
    def square(n: int) -> None:
        with open("/tmp/square", "w") as file:
            file.write(str(n * n))

    @script(image=IMAGE, command=["python"])
    def say(text: str) -> None:
        import sys

        sys.stdout.write(str(text))

    with Workflow(
        generate_name="hera-",
        entrypoint="main",
        labels={"tiphys-test": "yes"},
        service_account_name="tiphys",
        arguments=Parameter(name="greeting", value='it\'s 100% {ok}: "yes" & <no>'),
    ) as workflow:
        with Steps(name="throw"):
            coin = flip(name="coin")
            say(name="won", arguments={"text": "won"}, when=f"{coin.result} == heads")
        with DAG(name="main"):
            first = say(name="first", arguments={"text": "{{workflow.parameters.greeting}}"})
            made = numbers(name="numbers")
            squares = square(name="square", arguments={"n": "{{item}}"}, with_param=made.result)
            last = say(name="last", arguments={"text": "{{tasks.square.outputs.parameters.square}}"})
            first >> made >> squares >> last
    return workflow


def ended(cluster: Cluster, name: str) -> dict[str, str]:
    """Wait for success; the first input of each node."""
    with connect(cluster) as client:
        result = client.wait(name, timeout=180)
    assert result.succeeded, (result.message, result.failures)
    return {
        node["displayName"]: str(((node.get("inputs") or {}).get("parameters") or [{}])[0].get("value", ""))
        for node in result.workflow["status"]["nodes"].values()
    }


def test_a_hera_workflow_is_emitted_accepted_and_run(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "hera.yaml"
    file.write_text(tiphys.to_yaml(hera_workflow()))
    cluster.argo("lint", "--offline", "--strict", str(file))
    submitted = cluster.argo("submit", str(file), "-o", "name")
    created = cluster.kubectl("create", "-f", str(file), "-o", "name").rpartition("/")[2]
    for name in (submitted, created):
        nodes = ended(cluster, name)
        assert {"first", "numbers", "square(0:1)", "square(1:2)", "square(2:3)", "last"} <= set(nodes)
        assert nodes["first"] == GREETING
        assert "9" in nodes["last"]


@pytest.fixture(scope="module")
def accepted(applied: Cluster) -> Iterator[dict[str, list[str]]]:
    """The names of the runs of each file, all submitted at once: with our own client, and with `kubectl create`, which
    stores what it is given: a number where Argo wants a string would end the controller."""
    names, created = {}, []
    with connect(applied) as client:
        for path in GOLDEN:
            text = path.read_text()
            submitted = client.submit(path, labels={"tiphys-test": "golden"}).name
            created.append(applied.kubectl("create", "-f", "-", "-o", "json", text=text))
            workflow = next(item for item in _objects(created[-1]) if item["kind"] == "Workflow")
            names[path.stem] = [submitted, workflow["metadata"]["name"]]
    yield names
    for text in created:
        applied.kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", text=text)
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=golden", "--wait=false")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_emitted_file_survives_both_ways_in(
    path: Path, accepted: dict[str, list[str]], cluster: Cluster
) -> None:
    for name in accepted[path.stem]:
        ended(cluster, name)


def _objects(text: str) -> list[dict[str, Any]]:
    """The objects of `kubectl -o json`: one, or several one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    return found
