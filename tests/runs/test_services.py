"""What a run serves now: real servers of the fake model behind a real balancer, as a run leaves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import conftest
from tiphys.errors import ServingError
from tiphys.records.record import RunRecord, StepRecord
from tiphys.runs.services import PictureInput, ServedModel, served, think
from tiphys.serving import BalancerProcess, ServingClient
from tiphys.serving.server import ModelServer
from tiphys.store import Store

Add = Callable[..., Path]
Start = Callable[..., ModelServer]
add_version, model_server = conftest.add_version, conftest.model_server


def record(*steps: StepRecord) -> RunRecord:
    return RunRecord("r-1", "r-1", "", "", "local", "p", "Succeeded", steps=steps)


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[BalancerProcess]:
    folder = tmp_path / "runs" / "r-1"
    with ExitStack() as stack:
        process = BalancerProcess.start(folder / "balancer.sock")
        stack.callback(process.stop)
        yield process


def at(server: ModelServer) -> str:
    return server.url.removeprefix("http://")


def test_what_answers_is_told_with_its_counts(
    tmp_path: Path,
    balancer: BalancerProcess,
    model_server: Start,
    add_version: Add,
) -> None:
    servers = []
    for place in range(2):
        base = tmp_path / f"model-{place}"
        add_version(3, base, scale=0.5)
        servers.append(model_server(base))
    port = balancer.apply("r-1-first:8501", host="127.0.0.1", port=0, endpoints=map(at, servers))
    url = f"http://127.0.0.1:{port}"
    with ServingClient(url, "m") as client:
        for _ in range(4):
            client.predict(instances=[1.0])
    step = StepRecord(
        "n", "expose-first", "expose", "Pod", "Succeeded", inputs={"name": "cnn"}, outputs={"url": url}
    )
    (found,) = served(Store(tmp_path), record(step))
    assert (found.service, found.what, found.model, found.url) == ("first", "cnn", "m", url)
    assert (found.requests >= 4, found.errors, found.problem) == (True, 0, "")
    assert [each.counted.answered for each in found.replicas] == [2, 2]  # each in turn
    assert found.counted.answered == 4 and found.counted.versions == (3,)
    assert {each.state for each in found.replicas} == {"healthy"}
    # the first signature that takes one picture of bytes, and not the default one, which takes numbers
    assert found.picture == PictureInput("images", "images", 28, 28, "probabilities")


def test_each_model_is_asked_for_a_picture(
    tmp_path: Path,
    balancer: BalancerProcess,
    model_server: Start,
    add_version: Add,
) -> None:
    add_version(1, tmp_path / "good")
    add_version(1, tmp_path / "bad", fail="no <b>memory</b>")
    for name in ("good", "bad"):
        server = model_server(tmp_path / name)
        balancer.apply(f"r-1-{name}:8501", host="127.0.0.1", port=0, endpoints=[at(server)])
    bad, good = think(served(Store(tmp_path), record()), [7, *[0] * 783])
    assert good.values == [float(label == 7) for label in range(10)] and not good.problem
    assert "no <b>memory</b>" in bad.problem and not bad.values


def test_a_replica_that_is_gone_is_told(tmp_path: Path, balancer: BalancerProcess) -> None:
    balancer.apply("r-1-first:8501", host="127.0.0.1", port=0, endpoints=["127.0.0.1:9"])
    (found,) = served(Store(tmp_path), record())
    assert "refused" in found.problem.lower() and found.picture is None and found.model == ""


def test_nothing_is_served_where_no_balancer_answers(tmp_path: Path) -> None:
    assert served(Store(tmp_path), record()) == []


@pytest.mark.parametrize("pixels", [[0] * 3, [], [300] * 784, [-1] * 784])
def test_pictures_that_no_model_takes(pixels: list[int]) -> None:
    one = ServedModel("first", "http://127.0.0.1:9", picture=PictureInput("images", "images", 28, 28, "p"))
    with pytest.raises(ServingError, match="TIP524"):
        think([one], pixels)
    with pytest.raises(ServingError, match="TIP524"):
        think([], pixels)
