"""The mission on the real cluster: it succeeds, the second run is all hits, the engine on this machine
agrees."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import COMPILED, ROOT, SMALL, Cluster, Mission, Two, ask, connect, fly

pytestmark = [pytest.mark.cluster]

MODELS = ("cnn", "dropout", "batch-norm")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def gangs(pods: Iterable[dict[str, Any]]) -> dict[str, list[tuple[datetime, datetime]]]:
    """For each TFJob when the containers of its workers started and ended."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for pod in pods:
        job = pod["metadata"]["labels"].get("training.kubeflow.org/job-name")
        if job:
            ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            found.setdefault(job, []).append((instant(ended["startedAt"]), instant(ended["finishedAt"])))
    return found


def most_at_once(jobs: dict[str, list[tuple[datetime, datetime]]]) -> int:
    """How many gangs trained at the same moment, from the first start to the last end in each."""
    spans = [
        (min(start for start, _ in workers), max(end for _, end in workers)) for workers in jobs.values()
    ]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_it_succeeds(mission: Mission) -> None:
    assert mission.result.succeeded, mission.result.failures
    assert mission.result.outputs["summary"]


def test_three_gangs_of_two_and_never_more_at_once_than_the_semaphore_allows(
    mission: Mission, applied: Cluster
) -> None:
    jobs = gangs(mission.pods.values())
    assert sorted(name.removeprefix(mission.result.name + "-") for name in jobs) == sorted(MODELS)
    assert all(len(workers) == 2 for workers in jobs.values())
    assert most_at_once(jobs) <= int(applied.get("configmap", "tiphys-locks")["data"]["training-2"])


def test_two_missions_at_once_share_the_data_and_the_lock(missions: Two, applied: Cluster) -> None:
    """One ingestion, which the second waits for and takes; six gangs, one after the other as the semaphore says."""
    both = (missions.first, missions.second)
    assert [run.result.phase for run in both] == ["Succeeded", "Succeeded"]
    hits = [run.node("ingest")["memoizationStatus"]["hit"] for run in both]
    assert sorted(hits) == [False, True]
    made = [name for run in both for name in run.pods if "-ingest-run-" in name]
    assert len(made) == 1
    assert missions.first.outputs("ingest")["dataset"] == missions.second.outputs("ingest")["dataset"]
    jobs = gangs([*missions.first.pods.values(), *missions.second.pods.values()])
    assert len(jobs) == 6
    assert most_at_once(jobs) <= int(applied.get("configmap", "tiphys-locks")["data"]["training-2"])


def test_early_serving_answers_while_others_train(missions: Two) -> None:
    """A good model is asked and answers while other models of the run still train; the best two are there at last."""
    assert missions.early.answered, "no model was published before the last training had ended"
    for slot in ("first", "second"):
        url = missions.second.outputs(f"expose-{slot}")["url"]
        assert len(ask(url, [[[0] * 28] * 28])[0]) == 10


def test_the_workers_have_what_the_manifest_promises(mission: Mission) -> None:
    for name, pod in mission.pods.items():
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            resources = container.get("resources") or {}
            for part in ("requests", "limits"):
                assert set(resources.get(part, ())) >= {"cpu", "memory"}, (name, container["name"], part)


def test_all_pods_pass_the_restricted_pod_security_standard(mission: Mission, applied: Cluster) -> None:
    """Asks the API server, which prints a warning for each pod of the namespace that would be refused."""
    said = applied.kubectl(
        "label", "--dry-run=server", "--overwrite", "namespace", "argo",
        "pod-security.kubernetes.io/enforce=restricted", check=False,
    )  # fmt: skip
    ours = [line for line in said.splitlines() if mission.result.name in line]
    assert ours == []


def test_only_the_steps_that_create_objects_have_a_token(mission: Mission) -> None:
    """The kubelet's or ours: whatever is mounted where clients of Kubernetes look for one."""
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    accounts, holders, writable = set(), set(), set()
    for pod in mission.pods.values():
        spec = pod["spec"]
        step = any(container["name"] == "wait" for container in spec["containers"])
        creates = "workflows.argoproj.io/node-name" in pod["metadata"].get("annotations", {}) and not step
        if creates:
            accounts.add(spec["serviceAccountName"])
            continue
        assert spec["serviceAccountName"] == "default"
        for container in spec.get("initContainers", []) + spec["containers"]:
            if any(mount["mountPath"] == place for mount in container.get("volumeMounts", [])):
                holders.add((container["name"], step))
            if not container["securityContext"].get("readOnlyRootFilesystem"):
                writable.add(container["name"])
    assert accounts == {"tiphys"}
    assert holders == {("init", True), ("wait", True)}
    assert writable == set()


def services(applied: Cluster, mission: Mission) -> list[str]:
    return [mission.outputs(f"expose-{slot}")["url"] for slot in ("first", "second")]


def test_both_services_answer_with_both_replicas(mission: Mission, applied: Cluster) -> None:
    image = [[[0] * 28] * 28]

    def counted(address: str) -> int:
        with urllib.request.urlopen(
            f"http://{address}:8501/monitoring/prometheus/metrics", timeout=10
        ) as answer:
            text = answer.read().decode()
        return sum(
            int(float(value)) for value in re.findall(r'request_count\{[^}]*status="OK"[^}]*\} (\S+)', text)
        )

    for slot, url in zip(("first", "second"), services(applied, mission), strict=True):
        selector = applied.get("service", f"{mission.result.name}-{slot}")["spec"]["selector"]
        wanted = ",".join(f"{key}={value}" for key, value in selector.items())
        replicas = [pod["status"]["podIP"] for pod in applied.get("pods", "-l", wanted)]
        assert len(replicas) == 2
        before = [counted(address) for address in replicas]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _, url=url: ask(url, image), range(40)))
        assert all(abs(sum(answer[0]) - 1) < 1e-3 for answer in answers)
        after = [counted(address) for address in replicas]
        assert sum(after) - sum(before) == 40
        assert all(late > early for early, late in zip(before, after, strict=True))


def test_the_aggregated_prediction_is_right(mission: Mission, applied: Cluster) -> None:
    """Asked anew, both services give answers whose mean is what the run recorded."""
    from components.catalog import CLASSES
    from components.dataset import Dataset
    from tiphys.reference import Reference

    record = json.loads(mission.outputs("predict")["prediction"])
    reference = Reference.parse(mission.outputs("ingest")["dataset"])
    folder = mission.volume / reference.uri.removeprefix("pvc://tiphys/")
    data = Dataset.open(Reference(folder.as_uri(), reference.digest))
    images, labels = data.take("test", [item["index"] for item in record["images"]])
    first, second = (ask(url, images.tolist()) for url in services(applied, mission))
    assert len(record["images"]) == int(SMALL["count"])
    for item, a, b, truth in zip(record["images"], first, second, labels.tolist(), strict=True):
        mean = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
        assert item["probabilities"] == pytest.approx(mean, abs=1e-4)
        assert item["label"] == CLASSES[mean.index(max(mean))]
        assert item["truth"] == CLASSES[truth]


def test_what_people_see_in_argo(mission: Mission, applied: Cluster) -> None:
    shown = applied.argo("get", mission.result.name, "--no-color")
    for word in ("Succeeded", "batch-norm", "deploy-first", "select", "predict"):
        assert word in shown
    url = f"http://{applied.env['ARGO_SERVER']}/api/v1/workflows/argo/{mission.result.name}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)
    annotations = found["metadata"]["annotations"]
    assert annotations["workflows.argoproj.io/title"]
    assert annotations["workflows.argoproj.io/description"]
    for model in MODELS:
        report = json.loads(mission.outputs(model)["report"])
        assert report["name"] == model
        assert 0.3 <= report["validation_accuracy"] <= 1
    workers = applied.argo("logs", mission.result.name, "-c", "tensorflow", "--no-color")
    assert f"{mission.result.name}-cnn-worker-0" in workers
    assert f"{mission.result.name}-cnn-worker-1" in workers


def test_the_logs_of_all_workers(mission: Mission, applied: Cluster) -> None:
    for way in ("server", "kubeconfig"):
        with connect(applied, way) as client:
            sources = {line.source for line in client.logs(mission.result.name)}
        assert {f"{model}/worker-{index}" for model in MODELS for index in (0, 1)} <= sources
        assert {f"{model}.evaluate" for model in MODELS} <= sources


@pytest.fixture(scope="module")
def second(mission: Mission, applied: Cluster) -> Mission:
    return fly(applied, SMALL, timeout=300)


def test_the_second_run_is_all_hits(second: Mission) -> None:
    assert second.result.succeeded, second.result.failures
    nodes = second.result.workflow["status"]["nodes"].values()
    memoized = [node for node in nodes if "memoizationStatus" in node]
    assert {node["displayName"].partition("(")[0] for node in memoized} == {"ingest", "train", "evaluate"}
    assert [node["name"] for node in memoized if not node["memoizationStatus"]["hit"]] == []
    assert gangs(second.pods.values()) == {}


def shape(workflow: dict[str, Any]) -> set[tuple[str, str, str]]:
    """The tree: path, type and phase of every node."""
    name = workflow["metadata"]["name"]
    return {
        (node["name"].removeprefix(name).lstrip("."), node["type"], node["phase"])
        for node in workflow["status"]["nodes"].values()
    }


def test_the_embedded_engine_gives_the_same(missions: Two, data: Path, tmp_path: Path) -> None:
    from tiphys.argo.reader import read
    from tiphys.engine import RunOptions, run

    documents = [document.data for document in read(COMPILED)]
    workflow = next(item for item in documents if item["kind"] == "Workflow")
    context = [item for item in documents if item is not workflow]
    volume = tmp_path / "volumes" / "tiphys"
    volume.mkdir(parents=True)
    (volume / "raw").symlink_to(data)
    parameters = {key: str(value) for key, value in SMALL.items()}
    options = RunOptions(store=tmp_path, project=ROOT, handle_signals=False)
    local = run(workflow, parameters=parameters, context=context, options=options).workflow
    mission = missions.first
    # the steps of the one ingestion are in the run that came first to it
    ingestion = {item for item in shape(missions.second.result.workflow) if item[0].startswith("ingest.")}
    assert shape(local) == shape(mission.result.workflow) | ingestion
    for model in MODELS:
        here = next(n for n in local["status"]["nodes"].values() if n["name"].endswith(f".{model}"))
        mine = json.loads(here["outputs"]["parameters"][0]["value"])
        theirs = json.loads(mission.outputs(model)["report"])
        assert mine["validation_accuracy"] == pytest.approx(theirs["validation_accuracy"], abs=0.01)
        assert mine["test_accuracy"] == pytest.approx(theirs["test_accuracy"], abs=0.01)
