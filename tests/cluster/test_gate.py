"""A gate on the real controller: a good model is served, a bad one is not, and the run succeeds."""

from __future__ import annotations

import os
import shutil
import uuid

import pytest

from tests.cluster.conftest import Cluster, connect, owned
from tests.dsl.gated import check, export, good_and_bad

pytestmark = [pytest.mark.cluster]

IMAGE = os.environ.get("TIPHYS_STEP_IMAGE", "")  # another than that of this version


def test_what_passes_is_served_and_what_is_refused_is_not(cluster: Cluster, images: None) -> None:
    folder = f"gate-{uuid.uuid4().hex[:8]}"
    models = cluster.volume / "models" / folder
    export(models)
    owned(models)
    with connect(cluster) as client:
        pipeline = good_and_bad(f"pvc://tiphys/models/{folder}", IMAGE)
        made = client.submit(pipeline, labels={"tiphys-test": "yes"})
        result = client.wait(made.name, timeout=120)
    check(result.workflow)
    shutil.rmtree(models)
