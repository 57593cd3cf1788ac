"""The registry of models on the real API server: its resourceVersion is the lock, for writers here and in workflows."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import ROOT, Cluster, connect, owned
from tests.dsl.test_registry import pipeline
from tiphys.reference import seal
from tiphys.registry.audit import PAGE, linear
from tiphys.runs import Client
from tiphys.runs.registry import Registry

pytestmark = pytest.mark.cluster

MOVES = ("-m", "tests.registry.moves")


@pytest.fixture
def namespace(machine: Cluster) -> Iterator[str]:
    """One of its own."""
    name = f"registry-{secrets.token_hex(3)}"
    machine.kubectl("create", "namespace", name)
    yield name
    machine.kubectl("delete", "namespace", name, "--wait=false")


def test_writers_in_processes_some_killed_make_one_linear_audit(machine: Cluster, namespace: str) -> None:
    kubeconfig = machine.env["KUBECONFIG"]
    registry = Registry(client=Client(namespace=namespace, kubeconfig=kubeconfig), who="me")
    for letter in "abc":
        registry.register("m", f"pvc://tiphys/models/{letter}", digest=f"sha256:{letter}")
    writers = [
        subprocess.Popen(
            [sys.executable, *MOVES, namespace, f"w{number}", "30" if number else "10000", kubeconfig],
            cwd=ROOT, env=machine.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        for number in range(6)
    ]  # fmt: skip
    told = [each.communicate(timeout=60)[0].split() for each in writers[1:]]
    os.kill(writers[0].pid, signal.SIGKILL)
    told.insert(0, writers[0].communicate(timeout=10)[0].split())
    rows = registry.audit("m")
    assert linear(rows) == "" and len(rows) > 2 * PAGE
    for number, lines in enumerate(told):
        written = [row.why for row in rows if row.who == f"w{number}"]
        assert written[: len(lines)] == lines and len(written) <= len(lines) + (number == 0)
    registry.alias("m", "champion", 1)
    registry.alias("m", "champion", 3)
    assert registry.rollback("m", "champion").alias("champion").number == 1
    assert registry.names() == ["m"]
    objects = [item["metadata"]["name"] for item in machine.get("configmaps", "-n", namespace)]
    assert {"tiphys-models-m", "tiphys-models-m.audit.000001"} <= {*objects}


def test_two_workflows_at_once_register_and_promote(images: None, cluster: Cluster) -> None:
    granted(cluster)
    try:
        check_two_workflows(cluster)
    finally:
        cluster.kubectl("delete", "configmaps", "-l", "tiphys.dev/registry=m")


def check_two_workflows(cluster: Cluster, image: str = "") -> None:
    for letter in "ab":
        folder = cluster.volume / "models" / f"registry-{letter}"
        (folder / "1").mkdir(parents=True, exist_ok=True)
        (folder / "1" / "saved_model.pb").write_text(letter)
        seal(folder)
        owned(folder)
    workflow = pipeline(image, asks=False)
    with connect(cluster, "kubeconfig") as client:
        names = [
            client.submit(
                workflow,
                parameters={
                    "uri": f"pvc://tiphys/models/registry-{letter}",
                    "why": f"of {letter}, for $(HOME)",
                },
                labels={"tiphys-test": "yes"},
            ).name
            for letter in "ab"
        ]
        for name in names:
            result = client.wait(name, timeout=150)
            assert result.succeeded, [
                (each["displayName"], each.get("message"))
                for each in result.workflow["status"]["nodes"].values()
            ]
        registry = Registry(client=client)
        rows = registry.audit("m")
        assert linear(rows) == "" and {row.who for row in rows} == {*names} and len(rows) == 2
        assert {row.why for row in rows} == {"of a, for $(HOME)", "of b, for $(HOME)"}
        assert registry.version("m", "champion").number == 2


def granted(cluster: Cluster) -> None:
    """What the account of resource templates needs."""
    cluster.kubectl("apply", "-f", str(ROOT / "manifests/components/registry/registry.yaml"))


def test_the_account_of_a_pipeline_writes_no_other_config_maps(cluster: Cluster) -> None:
    granted(cluster)
    account = "system:serviceaccount:argo:tiphys"

    def write(name: str) -> str:
        words = ("create", "configmap", name, "--dry-run=server", "--from-literal=a=b", "--as", account)
        return cluster.kubectl(*words, check=False)

    for _ in range(50):  # until the policy is in force
        if "created" not in (said := write("tiphys-locks-of-another")):
            break
        time.sleep(0.2)
    assert "no other ConfigMaps than those of the registry" in said
    assert "created" in write("tiphys-models-m-of-a-test")
