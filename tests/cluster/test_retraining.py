"""Retraining on the real controller: a training that begins with an earlier model's weights."""

from __future__ import annotations

import secrets

import pytest

from tests.cluster.conftest import Cluster, connect
from tests.components.incremental import check_begins, pipeline, trained

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("images")]


def test_a_training_begins_with_the_weights_of_an_earlier_one(cluster: Cluster) -> None:
    with connect(cluster, "kubeconfig") as client:
        rate = f"0.001{secrets.randbelow(10**6):06}"  # no earlier run has gone on with it
        made = client.submit(pipeline(), parameters={"rate": rate}, labels={"tiphys-test": "yes"})
        result = client.wait(made.name, timeout=400)
    assert result.succeeded, result.workflow["status"]
    uris = trained(result.workflow)
    assert len({*uris.values()}) == 3
    check_begins(cluster.volume, uris)
