"""``tiphys cost`` and ``tiphys report``, on a run of two attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiphys
from tiphys.cli import main
from tiphys.engine import RunOptions

FLAKY = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: flaky}
spec:
  entrypoint: main
  templates:
  - name: main
    retryStrategy: {limit: 2}
    container:
      image: python:3.12
      command: [sh, -c]
      args: ["test {{retries}} = 1 || exit 3; sleep 1.1"]
      resources: {requests: {cpu: "3"}}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flaky")
    (folder / "flaky.yaml").write_text(FLAKY)
    options = RunOptions(store=folder / "store", images={"python*": "host"})
    assert tiphys.run(folder / "flaky.yaml", options=options).succeeded
    return folder / "store"


def test_cost_is_told_in_three_ways(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "flaky", "--store", str(store), "--price", "cpu=1"]) == 0
    told = capsys.readouterr().out
    assert "(1)" in told and "total" in told and "PRICE" in told and "TREND" not in told
    assert main(["cost", "@latest", "--store", str(store), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["key"] == "flaky" and made["total"]["failed"] == 1
    assert made["total"]["paid"]["cpu"] >= 3
    assert main(["cost", "flaky", "--store", str(store), "--prometheus"]) == 0
    assert 'tiphys_step_failed_attempts{run="flaky"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"), [(["--price", "cpu=much"], "TIP246"), (["--price", "cpu"], "TIP290")]
)
def test_a_price_is_a_number(
    store: Path, words: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", "flaky", "--store", str(store), *words]) == 2
    assert code in capsys.readouterr().err


def test_get_tells_what_argo_counts(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "flaky", "--store", str(store), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)["status"]
    assert status["resourcesDuration"]["cpu"] >= 3
    assert set(status["resourcesDuration"]) == {"cpu", "memory"}
