"""Values of components are data on the real controller and kubelet, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, connect
from tests.dsl.test_verbatim import FILE, HOSTILE

pytestmark = [pytest.mark.cluster]


def test_values_of_components_are_data(images: None, cluster: Cluster, tmp_path: Path) -> None:
    """Each step compares what it got with what was returned; Argo and the kubelet would have changed all but one."""
    path = tmp_path / "braces.py"
    path.write_text(FILE.format(texts=json.dumps(HOSTILE)), encoding="utf-8")
    with connect(cluster) as client:
        end = client.wait(client.submit(path, labels={"tiphys-test": "yes"}).name, timeout=420)
    assert end.phase == "Succeeded", end.failures
