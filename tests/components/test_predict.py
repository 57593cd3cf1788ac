"""The aggregated prediction, against services that answer well, late or wrong."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.catalog import CLASSES
from components.dataset import Dataset
from components.picture import beside, draw
from components.predict import ask, predict
from tiphys.errors import ComponentError
from tiphys.reference import Reference

pytest.importorskip("numpy")

Answer = Callable[[dict[str, Any]], Any]
AVAILABLE = {
    "model_version_status": [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
}


@contextlib.contextmanager
def service(answer: Answer, status: int = 200) -> Iterator[str]:
    """A service whose predict gives ``answer(request)``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def reply(self, code: int, value: Any) -> None:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.reply(200, AVAILABLE)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(status, answer(request))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def always(label: int, probability: float = 0.91) -> Answer:
    """Says ``label`` with ``probability``, and spreads the rest evenly."""
    rest = (1 - probability) / 9
    row = [probability if index == label else rest for index in range(10)]
    return lambda request: {"predictions": [row] * len(request["instances"])}


def test_the_mean_of_two_services(dataset: Reference) -> None:
    with service(always(3, 0.55)) as one, service(always(5, 0.91)) as other:
        found = predict([one, other, ""], dataset, count=4, seed=1)
    assert [item["label"] for item in found.prediction["images"]] == ["Sandal"] * 4
    assert found.prediction["images"][0]["votes"] == ["Dress", "Sandal"]
    assert found.prediction["images"][0]["probabilities"][5] == pytest.approx((0.91 + 0.05) / 2)
    assert found.prediction["urls"] == [one, other]
    assert found.prediction["synthetic"] is True
    assert "GENERATED" in found.summary
    assert "mean of probabilities of 2 services" in found.summary


def test_a_vote_of_three(dataset: Reference) -> None:
    with service(always(3, 0.4)) as one, service(always(3, 0.4)) as two, service(always(5, 0.99)) as three:
        voted = predict([one, two, three], dataset, combine="vote", count=2)
        averaged = predict([one, two, three], dataset, combine="mean", count=2)
    assert voted.prediction["images"][0]["label"] == "Dress"
    assert averaged.prediction["images"][0]["label"] == "Sandal"


def test_images_are_sent_as_they_are_and_truth_is_told(dataset: Reference) -> None:
    seen: list[Any] = []

    def remember(request: dict[str, Any]) -> Any:
        seen.extend(request["instances"])
        return always(0)(request)

    with service(remember) as url:
        found = predict([url], dataset, count=100)
    images = Dataset.open(dataset)
    for item, sent in zip(found.prediction["images"], seen, strict=True):
        pixels, labels = images.take("test", [item["index"]])
        assert sent == pixels[0].tolist()
        assert item["truth"] == CLASSES[labels[0]]
    assert len({item["index"] for item in found.prediction["images"]}) == 100
    assert found.prediction["accuracy"] == 0.1  # ten of each class in the 100 test images
    assert found.prediction["right"] == 10


BAD_ANSWERS = {
    "too few": {"predictions": []},
    "nine classes": {"predictions": [[1 / 9] * 9]},
    "not a number": {"predictions": [["x"] * 10]},
    "NaN": b'{"predictions": [[NaN, 0, 0, 0, 0, 0, 0, 0, 0, 0]]}',
    "not a distribution": {"predictions": [[0.9] * 10]},
    "negative": {"predictions": [[-1.0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0]]},
    "an object": {"predictions": {"a": 1}},
    "another field": {"outputs": []},
    "not JSON": b"<html>",
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_answers_that_are_no_prediction(dataset: Reference, case: str) -> None:
    with service(lambda _request: BAD_ANSWERS[case]) as url, pytest.raises(ComponentError) as caught:
        predict([url], dataset, count=1)
    assert caught.value.code == "TIP751"
    assert url in caught.value.message


def test_an_error_of_the_service_is_passed_on(dataset: Reference) -> None:
    with (
        service(lambda _request: {"error": "Could not parse"}, status=400) as url,
        pytest.raises(ComponentError) as caught,
    ):
        predict([url], dataset, count=1)
    assert caught.value.code == "TIP751"
    assert "Could not parse" in caught.value.cause


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ComponentError) as caught:
            ask(f"http://127.0.0.1:{taken.getsockname()[1]}", "fashion-mnist", [[[0]]], seconds=0)
    assert caught.value.code == "TIP750"
    assert "refused" in caught.value.cause


@pytest.mark.parametrize(
    "arguments",
    [
        {"urls": []},
        {"urls": ["", " "]},
        {"urls": ["ftp://host"]},
        {"combine": "median"},
        {"count": 0},
        {"count": 101},
    ],
    ids=str,
)
def test_bad_parameters(dataset: Reference, arguments: dict[str, Any]) -> None:
    with pytest.raises(ComponentError) as caught:
        predict(**{"urls": ["http://127.0.0.1:1"], "dataset": dataset, **arguments})
    assert caught.value.code == "TIP752"


def test_a_picture_shows_dark_and_bright() -> None:
    image = [[0] * 14 + [255] * 14 for _ in range(28)]
    assert draw(image) == [" " * 14 + "█" * 14] * 14
    upper = [[255] * 28 if row % 2 == 0 else [0] * 28 for row in range(28)]
    assert draw(upper) == ["▀" * 28] * 14
    lower = [[0] * 28 if row % 2 == 0 else [255] * 28 for row in range(28)]
    assert draw(lower) == ["▄" * 28] * 14


def test_two_blocks_side_by_side() -> None:
    assert beside(["ab", "c"], ["x", "y", "z"], gap="|") == ["ab|x", "c |y", "  |z"]
