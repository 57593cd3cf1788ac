"""Retraining on the real controller: whether it is due, and a training that begins with an earlier model's weights."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Cluster, connect
from tests.cluster.test_registry import granted
from tests.components.incremental import check_begins, pipeline, trained
from tests.dsl.test_registry import check_weekly, weekly
from tiphys.runs import Result
from tiphys.runs.registry import Registry

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]


@pytest.fixture
def folders(cluster: Cluster) -> Iterator[None]:
    """What the steps of the weekly pipeline make."""
    yield
    cluster.kubectl("delete", "configmaps", "-l", "tiphys.dev/registry=m")
    for folder in (*cluster.volume.glob("datasets/*day"), *cluster.volume.glob("models/*day-from-*")):
        shutil.rmtree(folder)


@pytest.mark.usefixtures("folders")
def test_what_changed_decides_whether_it_is_trained(cluster: Cluster) -> None:
    granted(cluster)
    with connect(cluster, "kubeconfig") as client:

        def run(day: str) -> Result:
            made = client.submit(weekly(), parameters={"day": day}, labels={"tiphys-test": "yes"})
            return client.wait(made.name, timeout=150)

        check_weekly(run, Registry(client=client))


def test_a_training_begins_with_the_weights_of_an_earlier_one(cluster: Cluster) -> None:
    with connect(cluster, "kubeconfig") as client:
        rate = f"0.001{secrets.randbelow(10**6):06}"  # no earlier run has gone on with it
        made = client.submit(pipeline(), parameters={"rate": rate}, labels={"tiphys-test": "yes"})
        result = client.wait(made.name, timeout=400)
    assert result.succeeded, result.workflow["status"]
    uris = trained(result.workflow)
    assert len({*uris.values()}) == 3
    check_begins(cluster.volume, uris)
