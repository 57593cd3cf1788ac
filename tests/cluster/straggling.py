"""The trainings of tests/dsl/straggling.py on the cluster, with this tree's code."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import yaml

import tiphys
from tests.cluster.conftest import ROOT, Cluster, owned
from tiphys import Pipeline

__all__ = ["code", "compiled"]

MOUNT = "/mnt/tiphys"


@contextlib.contextmanager
def code(cluster: Cluster) -> Iterator[str]:
    """This tree's code as a folder of the volume: what the images have may be older, and has no tests. With it go the
    workflows of the label ``tiphys-test=enough``."""
    name = f"code-{uuid.uuid4().hex[:8]}"
    place = cluster.volume / name
    for folder in ("sdk/tiphys", "components", "tests/dsl"):
        to = place / folder.removeprefix("sdk/")
        shutil.copytree(ROOT / folder, to, ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))
    (place / "tests/__init__.py").touch()
    owned(place)
    yield f"{MOUNT}/{name}"
    cluster.kubectl("delete", "workflows", "-l", "tiphys-test=enough", "--wait=false")
    shutil.rmtree(place, ignore_errors=True)


def compiled(pipeline: Pipeline, path: str) -> dict[str, Any]:
    """The workflow, its steps and workers with ``path`` for their Python path."""
    documents = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))
    workflow: dict[str, Any] = next(each for each in documents if each["kind"] == "Workflow")
    variable = {"name": "PYTHONPATH", "value": path}
    for template in workflow["spec"]["templates"]:
        if container := template.get("container") or template.get("script"):
            container["env"].append(variable)
        elif "manifest" in template.get("resource", {}):
            manifest = template["resource"]["manifest"]
            template["resource"]["manifest"] = manifest.replace(
                '"env": [', f'"env": [{json.dumps(variable)},', 1
            )
    return workflow
