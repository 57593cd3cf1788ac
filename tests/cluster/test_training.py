"""The training service on the real cluster: two pools, each a namespace with a quota, by an account of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import ROOT, USER, Cluster
from tests.cluster.test_admin import OVERLAYS
from tiphys.queue.rules import this_user
from tiphys.runs.cluster.config import kubernetes_transport
from tiphys.runs.cluster.kubernetes import Kubernetes
from tiphys.store.layout import Store
from tiphys.training.cluster import ClusterPlace
from tiphys.training.job import ENDED, Algorithm, JobState, TrainingJob, TrainingRequest
from tiphys.training.service import TrainingService

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("images"),
    # the throw-away cluster's certificate is its own, and the service's threads outlive a test's filters
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]
ME = this_user()
IMAGE = "tiphys/step:0.1.0"
SPACES = ("tiphys-vision", "tiphys-text")


def shell(name: str, script: str, **more: Any) -> Algorithm:
    given = {"cpu": "300m", "memory": "128Mi", "deadline": "5m", **more}
    return Algorithm(name, image=IMAGE, command=("sh", "-c", script), **given)


@dataclass
class Two:
    """The service over two namespaces; it can be ended and made again."""

    folder: Path
    kubeconfig: str
    service: TrainingService | None = None

    def start(self) -> TrainingService:
        transport, _ = kubernetes_transport(self.kubeconfig, None)
        place = ClusterPlace(Kubernetes(transport))
        self.service = TrainingService(Store(self.folder), place, period=1.0)
        self.service.start()
        return self.service

    def end(self) -> None:
        if self.service is not None:
            self.service.close()
        self.service = None


@pytest.fixture(scope="module")
def spaces(applied: Cluster) -> Iterator[Cluster]:
    """Each namespace is the overlay of a team, with the component of a pool, and room for one small gang at once."""
    service = yaml.safe_load_all(applied.kubectl("kustomize", str(ROOT / "manifests" / "training-service")))
    for item in service:  # without its Deployment and its claim: there are three volumes, and it runs here
        if item["kind"] in ("Namespace", "ServiceAccount"):
            applied.kubectl("apply", "-f", "-", text=json.dumps(item))
    documents = [*yaml.safe_load_all(applied.kubectl("kustomize", str(OVERLAYS / "team")))]
    pool = [*yaml.safe_load_all((ROOT / "manifests/components/training-pool/pool.yaml").read_text())]
    try:
        for space in SPACES:
            for item in [*documents, *pool]:
                item = json.loads(json.dumps(item))
                if item["kind"] in ("WorkflowTemplate", "CronWorkflow"):
                    continue
                if item["kind"] == "Namespace":
                    item["metadata"]["name"] = space
                elif item["metadata"].get("namespace") or item in pool:
                    item["metadata"]["namespace"] = space
                for subject in item.get("subjects") or ():
                    if subject.get("namespace") in ("tiphys", None):
                        subject["namespace"] = space
                if item["kind"] == "ResourceQuota":
                    item["spec"]["hard"] = {"requests.cpu": "800m", "requests.memory": "2Gi", "pods": "8"}
                applied.kubectl("apply", "-f", "-", text=json.dumps(item))
            applied.until(
                "the claim is bound",
                lambda space=space: applied.kubectl(
                    "get", "pvc", "tiphys", "-n", space, "-o", "jsonpath={.spec.volumeName}"
                ),
            )
            volume = applied.kubectl("get", "pvc", "tiphys", "-n", space, "-o", "jsonpath={.spec.volumeName}")
            root = Path(applied.get("pv", volume)["spec"]["hostPath"]["path"])
            root.mkdir(parents=True, exist_ok=True)
            shutil.chown(root, USER, USER)
        yield applied
    finally:
        spaces = [*SPACES, "tiphys-training"]
        applied.kubectl("delete", "namespace", *spaces, "--ignore-not-found", "--timeout=90s")
        for volume in applied.get("pv"):
            if (volume["spec"].get("claimRef") or {}).get("namespace") in SPACES:
                name = volume["metadata"]["name"]
                applied.kubectl("patch", "pv", name, "--type=merge", "-p", '{"spec": {"claimRef": null}}')


@pytest.fixture(scope="module")
def service(spaces: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """With the token of the account `training`, which has the rights that the manifests give it."""
    folder = tmp_path_factory.mktemp("training")
    token = spaces.kubectl("create", "token", "training", "-n", "tiphys-training", "--duration=2h")
    config = yaml.safe_load(Path(spaces.env["KUBECONFIG"]).read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    pools = "".join(f'[pools.{space.partition("-")[2]}]\nnamespace = "{space}"\n' for space in SPACES)
    (folder / "training.toml").write_text(pools)
    made = Two(folder, str(kubeconfig))
    made.start()
    yield made
    made.end()


def ended(cluster: Cluster, two: Two, job: TrainingJob) -> TrainingJob:
    def now() -> TrainingJob:
        assert two.service is not None
        return two.service.status(job.id, ME)

    cluster.until(f"job {job.id} ends", lambda: now().state in ENDED)
    return now()


def test_two_pools_run_side_by_side_and_a_full_quota_keeps_a_job_queued(
    service: Two, spaces: Cluster
) -> None:
    made = service.service
    assert made is not None
    line = '{\\"epoch\\": 2, \\"of\\": 2, \\"loss\\": 0.25}'
    script = f'echo "{line}" >> $TIPHYS_REPORT; sleep 4; echo w > $TIPHYS_MODEL_DIR/w'
    made.create_algorithm(shell("short", script, cpu="500m"), ME)
    vision = [
        made.train(TrainingRequest("short", pool="vision", output_model_name="m"), ME) for _ in range(2)
    ]
    text = made.train(TrainingRequest("short", pool="text"), ME)
    spaces.until("the first runs", lambda: made.status(vision[0].id, ME).state is JobState.running)
    spaces.until("the other pool's runs", lambda: made.status(text.id, ME).state is JobState.running)
    waiting = made.status(vision[1].id, ME)
    assert waiting.state is JobState.queuing
    assert waiting.message == (
        "quota tiphys of namespace tiphys-vision: requests.cpu: 500m wanted, 300m of 800m free"
    )
    names = spaces.kubectl("get", "workflows", "-n", "tiphys-vision", "-o", "name").split()
    assert names == [f"workflow.argoproj.io/{vision[0].run}"]

    service.end()  # what runs goes on, and is adopted
    made = service.start()
    states = [ended(spaces, service, job) for job in (*vision, text)]
    assert [(job.state, job.message) for job in states] == [(JobState.succeed, "")] * 3
    assert states[1].launched >= states[0].ended
    assert states[0].metrics == {"loss": 0.25}
    for space, count in (("tiphys-vision", 2), ("tiphys-text", 1)):
        assert len(spaces.get("workflows", "-n", space)) == count


def test_gangs_know_each_other_and_one_that_is_cancelled_leaves_nothing(
    service: Two, spaces: Cluster
) -> None:
    made = service.service
    assert made is not None
    tf = 'echo "$TF_CONFIG" | grep -q worker-1'
    torch = '[ "$WORLD_SIZE" = 1 ] && [ -n "$MASTER_ADDR" ] && [ "$MASTER_PORT" = 23456 ] && [ -n "$RANK" ]'
    small = {"cpu": "100m", "memory": "64Mi"}
    made.create_algorithm(shell("tf", tf, kind="tfjob", workers=2, **small), ME)
    # alone: the operator gives further workers an init container that `restricted` namespaces refuse
    made.create_algorithm(shell("torch", torch, kind="pytorchjob", **small), ME)
    made.create_algorithm(shell("long", "sleep 300", kind="pytorchjob", **small), ME)
    jobs = [made.train(TrainingRequest(name, pool="text"), ME) for name in ("tf", "torch")]
    found = [ended(spaces, service, job) for job in jobs]
    assert [(job.state, job.message) for job in found] == [(JobState.succeed, "")] * 2

    job = made.train(TrainingRequest("long", pool="text"), ME)

    def workers() -> list[str]:
        pods = spaces.kubectl("get", "pods", "-n", "tiphys-text", "-o", "name").split()
        return [each for each in pods if job.run in each and "master" in each]

    spaces.until("its master is there", workers)
    made.cancel(job.id, ME)
    assert ended(spaces, service, job).state is JobState.cancelled
    spaces.until(
        "nothing is left of it",
        lambda: job.run not in spaces.kubectl("get", "pytorchjobs", "-n", "tiphys-text", "-o", "name"),
        60,
    )
