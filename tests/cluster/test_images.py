"""The images: the same bits from the same sources, and no shell, no root and no writable file system needed to run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import ROOT, SCRIPT, Cluster, connect
from tests.cluster.test_failures import workflow

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]


def built(sources: Path, folder: Path, *options: str) -> dict[str, str]:
    """Build from a copy of the sources in ``folder``; the digests by the images' names."""
    for name in ("images", "sdk/tiphys", "components"):
        shutil.copytree(sources / name, folder / name)
    done = subprocess.run(
        [folder / "images" / "build.sh", "--cluster", SCRIPT, *options],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    return {name.partition(":")[0]: digest for name, digest in lines}


def test_two_builds_give_the_same_images_bit_for_bit(tmp_path: Path) -> None:
    """At another time, in another folder, the second with nothing of the first: manifest, configuration and layers."""
    tags = ("--step", "tiphys/step:{0}", "--serving", "tiphys/serving:{0}")
    one, two = tmp_path / "first", tmp_path / "second"
    first = built(ROOT, one, *(tag.format("one") for tag in tags))
    second = built(one, two, "--no-cache", *(tag.format("two") for tag in tags))
    assert set(first) == {"tiphys/base", "tiphys/step", "tiphys/serving"}
    assert all(digest.startswith("sha256:") for digest in first.values())
    assert second == first


CHECK = """
import os, pathlib, tensorflow, tf_keras
import tiphys.serving, tiphys.step, components.worker
assert os.getuid() == 1000
shells = [p for f in ("/bin", "/usr/bin") for p in pathlib.Path(f).glob("*sh") if os.access(p, os.X_OK)]
assert not shells, shells
try:
    open("/opt/tiphys/x", "w")
except OSError:
    pathlib.Path("/tmp/said").write_text(str(float(tensorflow.reduce_sum(tensorflow.ones([2, 3])))))
"""


def test_they_run_without_a_shell_and_on_a_read_only_file_system(cluster: Cluster, tmp_path: Path) -> None:
    lines = ("ARG FROM", "FROM ${FROM}", "USER 0", "RUN rm -f /bin/*sh /usr/bin/*sh", "USER 1000:1000")
    (tmp_path / "Dockerfile").write_text("\n".join(lines) + "\n")
    for image in ("tiphys/step:0.1.0", "tensorflow/serving:2.19.1"):
        tag = f"{image}-shell-less"
        cluster.run(str(SCRIPT), "build", str(tmp_path), tag, "--build-arg", f"FROM={image}", timeout=300)
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    container: dict[str, Any] = {
        "image": "tiphys/step:0.1.0-shell-less",
        "command": ["python", "-c", CHECK],
        "resources": resources,
        "securityContext": {**security, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    server = {
        **container,
        "name": "server",
        "image": "tensorflow/serving:2.19.1-shell-less",
        "command": ["python", "-m", "tiphys.serving"],
        "args": ["--model_name=none", "--model_base_path=/tmp/none"],
        "readinessProbe": {"tcpSocket": {"port": 8501}, "periodSeconds": 1},
    }
    template = {
        "container": container,
        "sidecars": [server],
        "outputs": {"parameters": [{"name": "said", "valueFrom": {"path": "/tmp/said"}}]},
    }
    spec = workflow("shell-less", template, volumes=[{"name": "tmp", "emptyDir": {}}])
    with connect(cluster) as client:
        made = client.submit(spec)
        result = client.wait(made.name, timeout=180)
    assert result.succeeded, (result.message, result.failures)
    (node,) = result.workflow["status"]["nodes"].values()
    assert node["outputs"]["parameters"][0]["value"] == "6.0"
