"""The REST API over real HTTP: golden requests with their whole answers.

The model is TensorFlow Serving's example half_plus_two (y = x / 2 + 2), whose answers its documentation and
http_rest_api_handler_test.cc give.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]
Ask = Callable[..., Any]


@pytest.fixture
def url(model_server: Start) -> str:
    return model_server().url


GOLDEN: list[tuple[str, str, str | None, int, str]] = [
    ("POST", "/v1/models/m:predict", '{"instances": [1.0, 2.0, 5.0]}', 200,
     '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'),
    ("POST", "/v1/models/m/versions/1:predict", '{"instances": [[3.0], [4.0]]}', 200,
     '{\n    "predictions": [[3.5], [4.0]\n    ]\n}'),
    ("POST", "/v1/models/m:predict", '{"signature_name": "serving_default", "inputs": [3.0, 4.0]}', 200,
     '{\n    "outputs": [\n        3.5,\n        4.0\n    ]\n}'),
    ("POST", "/V1/Models/m:predict", '{"instances": [{"x": 1.0}]}', 200,
     '{\n    "predictions": [2.5\n    ]\n}'),
    ("POST", "/v1/models/m:predict", '{"instances": [NaN, Infinity, -Infinity]}', 200,
     '{\n    "predictions": [NaN, Infinity, -Infinity\n    ]\n}'),
    ("POST", "/v1/models/m:predict",
     '{"signature_name": "echo", "instances": [{"text": {"b64": "aGVsbG8="}, "whole": -7}]}', 200,
     '{\n    "predictions": [\n        {\n            "text": "hello",\n            "text_bytes": {\n'
     '                "b64": "aGVsbG8="\n            },\n            "whole": -7\n        }\n    ]\n}'),
    ("POST", "/v1/models/m:regress", '{"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}]}', 200,
     '{\n    "results": [42.0]\n}'),
    ("POST", "/v1/models/m:classify", '{"signature_name": "classify_x_to_y", "examples": [{"x": 20.0}]}', 200,
     '{\n    "results": [[["", 12.0]]\n    ]\n}'),
    ("GET", "/v1/models/m", None, 200,
     '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
     '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'),
    ("GET", "/v1/models/m/versions/1", None, 200,
     '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
     '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), GOLDEN)
def test_answers(url: str, ask: Ask, method: str, path: str, body: str, status: int, text: str) -> None:
    answer = ask(url, method, path, body)
    assert (answer.status, answer.body.decode()) == (status, text)
    assert answer.headers["Content-Type"] == "application/json"


ERRORS = [
    ("GET", "/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
    ("POST", "/v1/foo", "", 400, "Malformed request: POST /v1/foo"),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/models/", None, 400, "Malformed request: GET /v1/models/"),
    ("POST", "/v1/models", "", 400, "Malformed request: POST /v1/models"),
    ("GET", "/v1/models/m:predict", None, 400, "Malformed request: GET /v1/models/m:predict"),
    ("POST", "/v1/models/m:PREDICT", "{}", 400, "Malformed request: POST /v1/models/m:PREDICT"),
    ("POST", "/v1/models/m/version/50:regress", "", 400,
     "Malformed request: POST /v1/models/m/version/50:regress"),
    ("POST", "/v1/models/m/versions/HELLO:regress", "", 400,
     "Malformed request: POST /v1/models/m/versions/HELLO:regress"),
    ("POST", "/v1/models/m/versions/18446744073709551615:predict", '{"instances": [1]}', 400,
     "Failed to convert version: 18446744073709551615 to numeric."),
    ("PUT", "/v1/models/m", "", 400, "Malformed request: PUT /v1/models/m"),
    ("DELETE", "/v1/models/m", None, 400, "Malformed request: DELETE /v1/models/m"),
    ("GET", "/v1/models/other", None, 404, "Could not find any versions of model other"),
    ("GET", "/v1/models/m/versions/9", None, 404, "Could not find version 9 of model m"),
    ("GET", "/v1/models/other/metadata", None, 404, "Servable not found for request: Latest(other)"),
    ("POST", "/v1/models/other:predict", '{"instances": [1]}', 404,
     "Servable not found for request: Latest(other)"),
    ("POST", "/v1/models/m/versions/99:predict", '{"instances": [1]}', 404,
     "Servable not found for request: Specific(m, 99)"),
    ("POST", "/v1/models/m/labels/stable:predict", '{"instances": [1]}', 400,
     "Unrecognized servable version label: stable"),
    ("POST", "/v1/models/m:predict", "", 400, "JSON Parse error: The document is empty"),
    ("POST", "/v1/models/other:predict", "", 400, "JSON Parse error: The document is empty"),
    ("POST", "/v1/models/m:predict", "instances = [1, 2]", 400,
     "JSON Parse error: Invalid value. at offset: 0"),
    ("POST", "/v1/models/m:predict", "{}", 400, "Missing 'inputs' or 'instances' key"),
    ("POST", "/v1/models/m:predict", '{"instances": ["x", "y"]}', 400,
     "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
     'JSON Value: "x" Type: String is not of expected type: float'),
    ("POST", "/v1/models/m:predict", '{"signature_name": "nope", "instances": [1]}', 400,
     'Serving signature name: "nope" not found in signature def'),
    ("POST", "/v1/models/m:regress", '{"examples": [{"x": 1.0}]}', 400,
     "Expected regression signature method_name to be tensorflow/serving/regress. "
     "Was: tensorflow/serving/predict"),
    ("POST", "/v1/models/m:classify", '{"signature_name": "nope", "examples": [{"x": 1.0}]}', 400,
     "No signature was found with the name: nope"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), ERRORS)
def test_errors(url: str, ask: Ask, method: str, path: str, body: str, status: int, message: str) -> None:
    answer = ask(url, method, path, body)
    assert (answer.status, answer.error) == (status, message)
    assert answer.body.decode().startswith('{\n    "error": "')
    assert answer.headers["Content-Type"] == "application/json"


BODIES = {
    "predict": '{"instances": [%s]}',
    "classify": '{"examples": [{"x": %s}]}',
    "regress": '{"examples": [{"x": [%s]}]}',
}


@pytest.mark.parametrize("number", ["1e400", "-1e309", "9" * 309, "-" + "1" * 4300, "9" * 4301])
@pytest.mark.parametrize("route", BODIES)
def test_a_number_beyond_a_double_is_refused_with_its_place(
    url: str, ask: Ask, route: str, number: str
) -> None:
    answer = ask(url, "POST", f"/v1/models/m:{route}", BODIES[route] % number)
    at = BODIES[route].index("%")
    assert answer.status == 400
    assert answer.error == f"JSON Parse error: Number too big to be stored in double. at offset: {at}"


SIGNATURES = {"predict": "serving_default", "classify": "classify_x_to_y", "regress": "regress_x_to_y"}


@pytest.mark.parametrize("route", BODIES)
def test_text_behind_a_document_is_ignored(url: str, ask: Ask, route: str) -> None:
    body = f'{{"signature_name": "{SIGNATURES[route]}", ' + BODIES[route][1:] % "80.0"
    right = ask(url, "POST", f"/v1/models/m:{route}", body)
    assert right.status == 200
    for rest in (" x", "]", '{"a": 1e400}'):
        answer = ask(url, "POST", f"/v1/models/m:{route}", body + rest)
        assert (answer.status, answer.body) == (200, right.body)


def test_metadata(url: str, ask: Ask) -> None:
    answer = ask(url, "GET", "/v1/models/m/metadata")
    assert answer.body.startswith(
        b'{\n"model_spec":{\n "name": "m",\n "signature_name": "",\n "version": "1"\n}\n,\n'
        b'"metadata": {"signature_def": {\n "signature_def": {\n'
    )
    signature = answer.json["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature == {
        "inputs": {
            "x": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {
                    "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
                    "unknown_rank": False,
                },
                "name": "x:0",
            }
        },
        "outputs": {
            "y": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {
                    "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
                    "unknown_rank": False,
                },
                "name": "y:0",
            }
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def test_names_are_url_decoded_and_queries_are_not_the_path(
    model_server: Start, add_version: Callable[..., Path], tmp_path: Path, ask: Ask
) -> None:
    add_version(1)
    url = model_server(models=[ModelConfig("a b/ü", tmp_path / "model", labels={"the one": 1})]).url
    path = "/v1/models/a%20b%2F%C3%BC"
    assert ask(url, "GET", path + "?verbose=1").json["model_version_status"][0]["version"] == "1"
    answer = ask(url, "POST", path + "/labels/the%20one:predict", '{"instances": [2]}')
    assert answer.json == {"predictions": [3.0]}


def test_paths_outside_the_api_get_libevents_page(url: str, ask: Ask) -> None:
    answer = ask(url, "GET", "/index")
    assert answer.status == 404
    assert b"<H1>Not Found</H1>" in answer.body


def test_gzip_requests(url: str, ask: Ask) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    body = gzip.compress(b'{"instances": [2.0]}')
    assert ask(url, "POST", "/v1/models/m:predict", body, gzipped).json == {"predictions": [3.0]}
    answer = ask(url, "POST", "/v1/models/m:predict", b"not gzip", gzipped)
    assert answer.status == 400 and answer.error.startswith("Failed to uncompress the request")


def test_a_gzip_bomb_is_refused(model_server: Start, ask: Ask) -> None:
    from tiphys.net import HttpLimits

    url = model_server(limits=HttpLimits(body_bytes=100_000)).url
    body = gzip.compress(b" " * 10_000_000)
    answer = ask(url, "POST", "/v1/models/m:predict", body, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.error) == (400, "Request body is larger than 100000 bytes.")


def test_large_requests_and_answers_are_right(url: str, ask: Ask) -> None:
    values = [float(number % 1000) for number in range(60_000)]
    answer = ask(url, "POST", "/v1/models/m:predict", json.dumps({"instances": values}))
    assert answer.json == {"predictions": [value / 2 + 2 for value in values]}


def test_cors_only_when_asked_for(model_server: Start, ask: Ask) -> None:
    assert ask(model_server().url, "GET", "/v1/models/m").headers["Access-Control-Allow-Origin"] is None
    url = model_server(cors=True).url
    assert ask(url, "GET", "/v1/models/m").headers["Access-Control-Allow-Origin"] == "*"
    asked = {"Origin": "https://a.example"}
    assert ask(url, "OPTIONS", "/v1/models/m:predict", b"", asked).status == 200
    assert ask(url, "OPTIONS", "/v1/models/m:predict").status == 400


def test_a_preflight_is_answered_also_where_nobody_asked_for_cors(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    answer = ask(url, "OPTIONS", "/v1/models/m", b"", {"Origin": "http://a.example"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, None)
    assert ask(url, "OPTIONS", "/v1/models/m", b"", {"Origin": "null"}).status == 400


def test_failures_of_the_model_are_internal_errors(
    model_server: Start, add_version: Callable[..., Path], ask: Ask
) -> None:
    add_version(1, fail="it broke")
    answer = ask(model_server().url, "POST", "/v1/models/m:predict", '{"instances": [1]}')
    assert (answer.status, answer.error) == (500, "it broke")


def test_a_request_that_takes_too_long_is_a_504(
    model_server: Start, add_version: Callable[..., Path], ask: Ask
) -> None:
    add_version(1, delay=0.5)
    answer = ask(model_server(timeout=0.05).url, "POST", "/v1/models/m:predict", '{"instances": [1]}')
    assert (answer.status, answer.error) == (504, "Timed out waiting for notification")


def test_prometheus_metrics(url: str, ask: Ask) -> None:
    ask(url, "POST", "/v1/models/m:predict", '{"instances": [1]}')
    ask(url, "POST", "/v1/models/m:predict", "{")
    page = ask(url, "GET", "/monitoring/prometheus/metrics")
    assert page.headers["Content-Type"] == "text/plain"
    lines = page.body.decode().splitlines()
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 1' in lines
    assert ':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 1' in lines
    labels = 'model_name="m",API="Predict",entrypoint="REST"'
    assert f":tensorflow:serving:request_latency_count{{{labels}}} 1" in lines
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="+Inf"}} 1' in lines


def test_names_of_models_that_do_not_exist_do_not_fill_the_metrics(url: str, ask: Ask) -> None:
    for number in range(20):
        ask(url, "POST", f"/v1/models/no-{number}:predict", '{"instances": [1]}')
    page = ask(url, "GET", "/monitoring/prometheus/metrics").body.decode()
    assert "no-1" not in page
