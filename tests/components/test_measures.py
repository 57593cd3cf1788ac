"""Loss and accuracy added up once an epoch, beside Keras, which adds them up after each step."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gang import free_ports

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="needs the extra 'train'"),
]


def test_a_gang_measures_what_keras_does_with_one_all_reduce_a_step() -> None:
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    with ExitStack() as stack:
        workers = []
        for index in range(2):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            worker = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("measured.py"))],
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                    "TF_CONFIG": json.dumps(task),
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            workers.append(stack.enter_context(worker))
            stack.callback(worker.kill)  # one that fails leaves the other waiting for it
        told = [json.loads(worker.communicate(timeout=240)[0].splitlines()[-1]) for worker in workers]
    for keras, own in told:
        assert own["name"] == keras["name"]
        assert set(own["history"]) == {"loss", "accuracy"}
        for name, values in keras["history"].items():
            assert own["history"][name] == pytest.approx(values, rel=1e-5)
    first, second = told
    assert first[1]["history"] == second[1]["history"]  # of all workers, not of one
    assert first[0]["reduces"] > 1
    assert first[1]["reduces"] == 1  # the gradients
