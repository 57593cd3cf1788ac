"""The real cluster: Kubernetes with Argo and the training operator, this project's images and manifests in
it.

The tests of this folder that are marked `cluster` need `../shared/cluster` (or $TIPHYS_SHARED/cluster)
beside the repository, root, and are run by .ci/run. They use the namespace argo and delete what they make
there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tiphys.runs import Client, Result

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = Path(os.environ.get("TIPHYS_SHARED") or ROOT.parent / "shared")
SCRIPT = SHARED / "cluster" / "cluster"
COMPILED = ROOT / "tests" / "golden" / "fashion-mnist.yaml"
USER = 1000  # what the pods run as; the volumes here are folders of the node, which no fsGroup changes

Json = Any


@dataclass
class Cluster:
    """The throw-away cluster: its kubectl and argo, and the folder behind the claim `tiphys`."""

    env: dict[str, str]
    volume: Path = field(default_factory=Path)

    def run(self, *command: str, check: bool = True, text: str | None = None, timeout: float = 120) -> str:
        done = subprocess.run(
            command, env=self.env, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip() if check else done.stdout.strip() + done.stderr.strip()

    def kubectl(self, *command: str, **options: Any) -> str:
        return self.run("kubectl", "--request-timeout=60s", *command, **options)

    def argo(self, *command: str, **options: Any) -> str:
        return self.run("argo", *command, **options)

    def get(self, *command: str) -> Json:
        """A JSON object, or the items of a list of them."""
        value = json.loads(self.kubectl("get", *command, "-o", "json"))
        return value.get("items", value)

    def define(self, *definitions: Json) -> list[str]:
        """Give the API server custom kinds; their names when it knows them. `kubectl wait` fails on a definition that
        has no conditions yet."""
        names = [item["metadata"]["name"] for item in definitions]
        for item in definitions:
            self.kubectl("apply", "--server-side", "-f", "-", text=json.dumps(item))

        def established() -> bool:
            found = [self.get("crd", name).get("status", {}).get("conditions") or [] for name in names]
            return all(
                any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
                for conditions in found
            )

        self.until(f"the API server knows {', '.join(names)}", established, 60)
        return names

    def until(self, what: str, probe: Callable[[], Json], timeout: float = 120) -> Json:
        """What ``probe`` gives as soon as it is true. There is no event to wait for where this is used."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := probe():
                return found
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {timeout:g} s")


def _environment() -> dict[str, str]:
    if not SCRIPT.exists():
        pytest.skip(f"the throw-away cluster is not there: {SCRIPT}")
    if os.geteuid() != 0:
        pytest.skip("the throw-away cluster needs root")
    printed = subprocess.run([SCRIPT, "env"], capture_output=True, text=True, check=True).stdout
    values = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', printed))
    env = dict(os.environ)
    for key, value in values.items():
        env[key] = value.strip('"').replace("$PATH", os.environ["PATH"])
    return env


def running() -> Cluster:
    """The cluster, which is started where it is not running."""
    cluster = Cluster(_environment())
    with contextlib.suppress(AssertionError):
        cluster.kubectl("get", "node")
        cluster.run("curl", "-sf", "-o", "/dev/null", f"http://{cluster.env['ARGO_SERVER']}/api/v1/info")
        return cluster
    subprocess.run([SCRIPT, "up"], check=True, timeout=600)
    return cluster


@pytest.fixture(scope="session")
def machine() -> Cluster:
    """The cluster, running, with nothing of this project in it."""
    return running()


@pytest.fixture(scope="session")
def applied(machine: Cluster) -> Cluster:
    """The cluster with the manifests applied."""
    return apply(machine)


def apply(cluster: Cluster) -> Cluster:
    """Apply the manifests, as an administrator does it, and wait until the claim is bound."""
    cluster.kubectl("apply", "-k", str(ROOT / "manifests" / "overlays" / "argo"))

    def bound() -> str:
        return cluster.kubectl("get", "pvc", "tiphys", "-o", "jsonpath={.spec.volumeName}")

    volume = cluster.until("the claim is bound", bound)
    cluster.volume = Path(cluster.get("pv", volume)["spec"]["hostPath"]["path"])
    cluster.volume.mkdir(parents=True, exist_ok=True)
    for folder in (cluster.volume, cluster.volume / "datasets", cluster.volume / "models"):
        folder.mkdir(exist_ok=True)  # where tests put theirs beside those of steps
        os.chown(folder, USER, USER)
    return cluster


@pytest.fixture(scope="session")
def images(machine: Cluster) -> None:
    """The two images, built from this tree. TIPHYS_KEEP_IMAGES=1 takes those that are there."""
    if os.environ.get("TIPHYS_KEEP_IMAGES"):
        return
    build = ROOT / "images" / "build.sh"
    done = subprocess.run(
        [build, "--cluster", SCRIPT], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def data(applied: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four real files of Fashion-MNIST on the volume, where pods without a network find them."""
    folder = applied.volume / "raw"
    if not folder.is_dir():
        from components.fetch import from_apt, from_folder

        into = tmp_path_factory.mktemp("raw")
        installed = Path("/usr/share/datasets/fashion-mnist")
        if installed.is_dir():
            from_folder(installed, into)
        else:
            from_apt(into)
        shutil.copytree(into, folder)
        owned(folder)
    return folder


def owned(folder: Path) -> None:
    """Give a folder of the volume to the pods' user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)


@pytest.fixture
def cluster(applied: Cluster) -> Iterator[Cluster]:
    """The cluster for one test; workflows that the test made carry the label `tiphys-test` and go
    afterwards."""
    yield applied
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=yes", "--wait=false")


@pytest.fixture(params=["server", "kubeconfig"])
def client(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Client]:
    """Both ways to the cluster."""
    with connect(cluster, request.param) as found:
        yield found


def connect(cluster: Cluster, way: str = "server") -> Client:
    if way == "server":
        return Client(server=f"http://{cluster.env['ARGO_SERVER']}", token="", namespace="argo")
    return Client(kubeconfig=cluster.env["KUBECONFIG"], namespace="argo")


# -- the mission ---------------------------------------------------------------------------------------------

SMALL: Mapping[str, Json] = {
    "source": "pvc://tiphys/raw",
    "limit": 4000,
    "validation-size": 15000,  # of 60 000: a quarter of what the limit leaves
    "epochs": 2,
    "batch-size": 64,
    "min-accuracy": 0.3,
    "count": 12,
}
"""Real data, few of them, so that three trainings take minutes; every model passes."""


@dataclass
class Mission:
    """A finished run of the mission and what was seen meanwhile."""

    result: Result
    pods: dict[str, Json]
    volume: Path

    def node(self, path: str) -> Json:
        name = f"{self.result.name}.{path}"
        return next(item for item in self.result.workflow["status"]["nodes"].values() if item["name"] == name)

    def outputs(self, path: str) -> dict[str, str]:
        return {item["name"]: item["value"] for item in self.node(path)["outputs"]["parameters"]}


def fly(
    cluster: Cluster,
    parameters: Mapping[str, Json],
    *,
    timeout: float = 1200,
    seen: Callable[[Result], None] = lambda _: None,
) -> Mission:
    """Submit the compiled mission and follow it to its end, keeping the last state of every pod. ``seen`` is given each
    state on the way."""
    with connect(cluster) as client:
        made = client.submit(COMPILED, parameters=parameters, labels={"tiphys-test": "mission"})
        for result in client.watch(made.name, timeout=timeout):
            seen(result)
    pods = cluster.get("pods", "-l", f"workflows.argoproj.io/workflow={made.name}")
    return Mission(result, {item["metadata"]["name"]: item for item in pods}, cluster.volume)


def ask(url: str, images: list[Any]) -> list[list[float]]:
    """What a model's Service answers."""
    body = json.dumps({"instances": images}).encode()
    target = f"{url}/v1/models/fashion-mnist:predict"
    with urllib.request.urlopen(urllib.request.Request(target, body), timeout=30) as answer:
        found: list[list[float]] = json.load(answer)["predictions"]
        return found


@dataclass
class Early:
    """Asks each model that a run publishes while it still trains others."""

    answered: dict[str, int] = field(default_factory=dict)  # URL -> how many trainings had not ended then

    def __call__(self, state: Result) -> None:
        nodes = ((state.workflow.get("status") or {}).get("nodes") or {}).values()
        trained = [node for node in nodes if node["name"].endswith(".train") and node["phase"] == "Succeeded"]
        to_come = 3 - len(trained)
        for node in nodes:
            if to_come and node["displayName"] == "expose" and node["phase"] == "Succeeded":
                url = next(p["value"] for p in node["outputs"]["parameters"] if p["name"] == "url")
                if url not in self.answered:
                    assert len(ask(url, [[[0] * 28] * 28])[0]) == 10
                    self.answered[url] = to_come


@dataclass
class Two:
    """Two whole missions that were submitted at the same moment: equal data, other trainings, the second serving each
    good model at once."""

    first: Mission
    second: Mission
    early: Early


@pytest.fixture(scope="session")
def missions(images: None, data: Path, applied: Cluster) -> Iterator[Two]:
    """Nothing is cached when they start. Their services stay up with them until the tests end."""
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=mission")
    caches = [
        name
        for name in applied.kubectl("get", "configmaps", "-o", "name").split()
        if "/tiphys-cache-" in name
    ]
    for name in caches:
        applied.kubectl("patch", name, "--type=json", "-p", '[{"op": "add", "path": "/data", "value": {}}]')
    for folder in ("datasets", "models", "work"):
        shutil.rmtree(applied.volume / folder, ignore_errors=True)
    early = Early()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fly, applied, SMALL)
        second = pool.submit(fly, applied, {**SMALL, "learning-rate": 0.004, "serve": "early"}, seen=early)
        yield Two(first.result(), second.result(), early)
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=mission")


@pytest.fixture(scope="session")
def mission(missions: Two) -> Mission:
    """The first of the two."""
    return missions.first
