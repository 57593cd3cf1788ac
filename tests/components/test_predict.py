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
from components.predict import predict
from tiphys.errors import ComponentError
from tiphys.reference import Reference

pytest.importorskip("numpy")

Answer = Callable[[dict[str, Any]], Any]
AVAILABLE = {
    "model_version_status": [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
}
LOADING = {
    "model_version_status": [
        {"version": "1", "state": "LOADING", "status": {"error_code": "OK", "error_message": ""}}
    ]
}


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Somebody takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def service(answer: Answer, status: int = 200, ready: Callable[[], bool] = lambda: True) -> Iterator[str]:
    """A service whose predict gives ``answer(request)``; an answer of None ends the connection without one."""

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
            self.reply(200, AVAILABLE if ready() else LOADING)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if (value := answer(request)) is None:
                self.close_connection = True
            else:
                self.reply(status, value)

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


def test_nobody_listens(dataset: Reference) -> None:
    with nobody() as one, nobody() as other, pytest.raises(ComponentError) as caught:
        predict([one, other], dataset, at_least=1, deadline=0.5)
    assert caught.value.code == "TIP750"
    assert one in caught.value.message and other in caught.value.message
    assert caught.value.cause.startswith("0 of 2 models answered; 1 are needed.\n")
    assert caught.value.cause.count("refused") == 2


def test_all_must_answer_unless_fewer_are_enough(dataset: Reference) -> None:
    """The rest of them are left out of everything, and told."""
    with service(always(3, 0.55)) as here, silent() as late, nobody() as gone:
        urls = [late, here, "", gone]
        with pytest.raises(ComponentError) as caught:
            predict(urls, dataset, count=2, deadline=3.0)
        found = predict(urls, dataset, count=2, deadline=3.0, at_least=1)
    assert caught.value.code == "TIP750"
    assert late in caught.value.message and gone in caught.value.message and here not in caught.value.message
    record = found.prediction
    assert (record["urls"], record["answered"]) == ([late, here, gone], [here])
    assert [each["url"] for each in record["missing"]] == [late, gone]
    assert "refused" in record["missing"][1]["why"] and record["missing"][0]["why"]
    assert record["images"][0]["votes"] == ["Dress"]
    assert record["images"][0]["probabilities"] == pytest.approx([0.05] * 3 + [0.55] + [0.05] * 6)
    assert "mean of probabilities of 1 of 3 services" in found.summary
    assert f"left out: {gone}: " in found.summary


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_wrong_answer_is_missing_where_fewer_may_answer(dataset: Reference, case: str) -> None:
    with service(lambda _request: BAD_ANSWERS[case]) as wrong, service(always(3)) as right:
        found = predict([wrong, right], dataset, count=1, at_least=1).prediction
    assert (found["answered"], [each["url"] for each in found["missing"]]) == ([right], [wrong])
    assert found["images"][0]["votes"] == ["Dress"]


def test_of_those_who_are_missing_it_is_told_who_was_wrong(dataset: Reference) -> None:
    with (
        service(lambda _request: {"predictions": [[0.9] * 10]}) as wrong,
        nobody() as gone,
        service(always(1)) as right,
        pytest.raises(ComponentError) as caught,
    ):
        predict([wrong, gone, right], dataset, count=1, at_least=2, deadline=3.0)
    assert (caught.value.code, caught.value.message) == ("TIP751", f"no prediction from {wrong}")
    assert "probabilities add up to 9.0000" in caught.value.cause and gone in caught.value.cause


def test_all_are_asked_at_once_and_who_is_starting_is_awaited(dataset: Reference) -> None:
    """None of the three answers before all of them were asked, and one has no model at first."""
    together, starts = threading.Barrier(3), iter([False, False])

    def answer(request: dict[str, Any]) -> Any:
        together.wait(20)
        return always(2)(request)

    with (
        service(answer) as one,
        service(answer, ready=lambda: next(starts, True)) as two,
        service(answer) as three,
    ):
        found = predict([one, two, three], dataset, count=1).prediction
    assert found["answered"] == [one, two, three] and found["missing"] == []


def test_a_connection_that_breaks_is_tried_again(dataset: Reference) -> None:
    breaks = iter([True, True, True])

    def answer(request: dict[str, Any]) -> Any:
        return None if next(breaks, False) else always(2)(request)

    with service(answer) as url:
        assert predict([url], dataset, count=1).prediction["answered"] == [url]


def by_image(salt: int) -> Answer:
    """A distribution of its own for each picture."""
    import numpy as np

    def row(picture: list[list[int]]) -> list[float]:
        values = np.random.default_rng([salt, sum(map(sum, picture))]).dirichlet(np.ones(10))
        return [float(value) for value in values]

    return lambda request: {"predictions": [row(each) for each in request["instances"]]}


@pytest.mark.parametrize("combine", ["mean", "vote", "weighted-mean", "weighted-vote"])
def test_the_combination_is_that_of_numpy(dataset: Reference, combine: Any) -> None:
    """Of 100 images, which are two requests to each service."""
    import numpy as np

    weights = [0.9, 0.2, 0.5, 0.4]
    requests: list[int] = []
    answers = [by_image(salt) for salt in range(4)]

    def counted(request: dict[str, Any]) -> Any:
        requests.append(len(request["instances"]))
        return answers[0](request)

    with (
        service(counted) as first,
        service(answers[1]) as second,
        service(answers[2]) as third,
        service(answers[3]) as fourth,
    ):
        urls = [first, second, "", third, fourth]
        given = [*weights[:2], 0.0, *weights[2:]]
        found = predict(urls, dataset, combine=combine, count=100, weights=given).prediction
    assert requests == [64, 36]
    images = Dataset.open(dataset)
    pixels, _ = images.take("test", [item["index"] for item in found["images"]])
    said = np.array([each({"instances": pixels.tolist()})["predictions"] for each in answers])
    shares = np.array(weights if combine.startswith("weighted") else [1.0] * 4)
    mean = np.average(said, axis=0, weights=shares)
    labels = mean.argmax(axis=1)
    if combine.endswith("vote"):
        votes = np.zeros((100, 10))
        for share, own in zip(shares, said.argmax(axis=2), strict=True):
            votes[np.arange(100), own] += share
        best = np.isclose(votes, votes.max(axis=1, keepdims=True))
        labels = np.where(best, mean, -1.0).argmax(axis=1)
    assert [item["label"] for item in found["images"]] == [CLASSES[label] for label in labels]
    assert np.allclose([item["probabilities"] for item in found["images"]], mean, atol=1e-6)
    assert found["weights"] == shares.tolist()


def test_accuracies_decide_between_two(dataset: Reference) -> None:
    with service(always(3, 0.6)) as good, service(always(5, 0.7)) as poor:
        labels = {
            combine: predict(
                [good, poor], dataset, combine=combine, count=1, weights=[0.93, 0.71]
            ).prediction["images"][0]["label"]
            for combine in ("mean", "vote", "weighted-mean", "weighted-vote")
        }
    assert labels == {"mean": "Sandal", "vote": "Sandal", "weighted-mean": "Dress", "weighted-vote": "Dress"}


def test_who_answers_a_part_only_is_left_out_of_all(dataset: Reference) -> None:
    def first_part(request: dict[str, Any]) -> Any:
        return always(5, 0.99)(request) if len(request["instances"]) == 64 else {"predictions": []}

    with service(first_part) as partly, service(always(3, 0.55)) as whole:
        found = predict([partly, whole], dataset, count=100, at_least=1).prediction
    assert found["answered"] == [whole]
    assert {item["label"] for item in found["images"]} == {"Dress"}
    assert all(item["votes"] == ["Dress"] for item in found["images"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"urls": []},
        {"urls": ["", " "]},
        {"urls": ["ftp://host"]},
        {"urls": ["http://"]},
        {"urls": ["http://host:port"]},
        {"urls": ["http://host:65536"]},
        {"urls": ["http://[::1"]},
        {"combine": "median"},
        {"count": 0},
        {"count": 101},
        {"at_least": -1},
        {"at_least": 2},
        {"deadline": 0.0},
        {"deadline": float("nan")},
        {"deadline": float("inf")},
        {"combine": "weighted-mean"},
        {"combine": "weighted-vote", "weights": [0.9, 0.8]},
        {"combine": "weighted-mean", "weights": [0.0]},
        {"combine": "weighted-mean", "weights": [float("nan")]},
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
