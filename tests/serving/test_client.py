"""The client, and putting several models' answers together."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.errors import ServingError
from tiphys.serving import Balancer, ServingClient, VersionStatus, mean, vote
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]


def test_calls(model_server: Start) -> None:
    with ServingClient(model_server().url, "m") as client:
        assert client.predict(instances=[1.0, 2.0]) == [2.5, 3.0]
        assert client.predict(inputs={"x": [[1.0]]}) == [[2.5]]
        assert client.predict(instances=[math.inf]) == [math.inf]
        assert client.status() == [VersionStatus(1, "AVAILABLE", "OK", "")]
        assert client.metadata()["model_spec"]["version"] == "1"
        assert client.regress([{"x": 80.0}], signature="regress_x_to_y") == [42.0]
        assert client.classify([{"x": 20.0}], signature="classify_x_to_y") == [[["", 12.0]]]
        assert client.wait_ready(5).version == 1


def test_images(model_server: Start) -> None:
    image = [[7] + [0] * 27] + [[0] * 28] * 27
    with ServingClient(model_server().url, "m") as client:
        (row,) = client.predict(instances=[image], signature="images")
    assert row == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]


def test_versions(model_server: Start) -> None:
    url = model_server().url
    with ServingClient(url, "m", version=1) as client:
        assert client.predict(instances=[0.0]) == [2.0]
    with ServingClient(url, "m", version=2) as client, pytest.raises(ServingError) as caught:
        client.predict(instances=[0.0])
    assert caught.value.code == "TIP521"
    assert caught.value.cause == "Servable not found for request: Specific(m, 2)"
    assert caught.value.where == f"POST {url}/v1/models/m/versions/2:predict"


def test_a_server_that_came_back_is_asked_on_a_fresh_connection(
    model_server: Start, add_version: Callable[..., Path]
) -> None:
    first, second = model_server(), model_server()
    with Balancer("127.0.0.1", 0, endpoints=[first.address]) as balancer:
        port = balancer.port
        client = ServingClient(balancer.url, "m")
        assert client.predict(instances=[0.0]) == [2.0]
    with Balancer("127.0.0.1", port, endpoints=[second.address]), client:
        assert client.predict(instances=[0.0]) == [2.0]


def test_nobody_there(tmp_path: Path) -> None:
    with Balancer("127.0.0.1", 0) as balancer:
        url = balancer.url
        with ServingClient(url, "m") as client:
            with pytest.raises(ServingError) as caught:
                client.status()
            assert caught.value.code == "TIP521" and "No endpoint available" in caught.value.cause
    with ServingClient(url, "m") as client:
        with pytest.raises(ServingError) as caught:
            client.predict(instances=[1])
        assert caught.value.code == "TIP520" and "refused" in caught.value.cause
        with pytest.raises(ServingError) as caught:
            client.wait_ready(0.0)
        assert caught.value.code == "TIP525" and "refused" in caught.value.cause


def test_no_answer_in_time(model_server: Start, add_version: Callable[..., Path]) -> None:
    add_version(1, delay=1.0)
    url = model_server().url
    with ServingClient(url, "m", timeout=0.05) as client, pytest.raises(ServingError) as caught:
        client.predict(instances=[1])
    assert caught.value.code == "TIP522"


def test_something_else_answers() -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>hello</html>" if "page" in self.path else b'{"other": 1}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        for model in ("page", "m"):
            with ServingClient(url, model) as client, pytest.raises(ServingError) as caught:
                client.status()
            assert caught.value.code == "TIP523"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("url", ["127.0.0.1:8501", "http://", "https://", "", "ftp://x"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ServingError) as caught:
        ServingClient(url, "m")
    assert caught.value.code == "TIP524" and caught.value.fix


def test_either_instances_or_inputs(model_server: Start) -> None:
    with ServingClient(model_server().url, "m") as client:
        for arguments in ({}, {"instances": [1], "inputs": [1]}):
            with pytest.raises(ServingError) as caught:
                client.predict(**arguments)  # type: ignore[arg-type]
            assert caught.value.code == "TIP524"


def test_importing_the_client_brings_in_nothing_heavy() -> None:
    code = (
        "import sys; from tiphys.serving import ServingClient, mean, vote; "
        "heavy = {'asyncio', 'numpy', 'tensorflow', 'httptools', 'hera', 'pydantic'} & sys.modules.keys(); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- aggregation
def test_mean() -> None:
    assert mean([[[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.0, 1.0]]]) == [[0.375, 0.625], [0.5, 0.5]]


def test_vote() -> None:
    a = [[0.6, 0.4, 0.0], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]
    b = [[0.9, 0.1, 0.0], [0.1, 0.7, 0.2], [0.2, 0.6, 0.2]]
    assert [tuple(row) for row in vote([a, b])] == [(0, 2, 1.0), (1, 1, 0.5), (1, 1, 0.5)]
    c = [[0.0, 1.0, 0.0]] * 3
    assert [tuple(row)[:2] for row in vote([a, b, c])] == [(0, 2), (1, 2), (1, 2)]


@pytest.mark.parametrize("answers", [[], [[[1.0]], [[1.0], [2.0]]], [[[1.0]], [[1.0, 2.0]]], [[[1.0], []]]])
def test_answers_that_do_not_fit_together(answers: Any) -> None:
    for combine in (mean, vote):
        with pytest.raises(ServingError) as caught:
            combine(answers)
        assert caught.value.code == "TIP526"


rows = st.integers(1, 4).flatmap(
    lambda width: st.integers(0, 5).flatmap(
        lambda height: st.lists(
            st.lists(
                st.lists(st.floats(0, 1), min_size=width, max_size=width), min_size=height, max_size=height
            ),
            min_size=1,
            max_size=4,
        )
    )
)


@given(rows)
def test_mean_lies_between_and_votes_add_up(answers: list[list[list[float]]]) -> None:
    means, votes = mean(answers), vote(answers)
    assert len(means) == len(votes) == len(answers[0])
    for index, row in enumerate(means):
        for label, value in enumerate(row):
            column = [answer[index][label] for answer in answers]
            assert min(column) - 1e-9 <= value <= max(column) + 1e-9
        assert 1 <= votes[index].votes <= len(answers)
        assert votes[index].share == votes[index].votes / len(answers)
