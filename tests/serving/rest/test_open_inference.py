"""KServe's V2, with the examples of its specification (inference_rest.md) and beside the answers of /v1."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.model.manager import ModelConfig
from tiphys.serving.model.servable import Signature, Tensor, TensorInfo
from tiphys.serving.rest.open_inference import inference_answer, inference_request
from tiphys.serving.server import ModelServer

Start = Callable[..., ModelServer]
Ask = Callable[..., Any]


def infer(*inputs: Any, **more: Any) -> str:
    return json.dumps({"inputs": list(inputs), **more})


X = {"name": "x", "shape": [3, 1], "datatype": "FP32", "data": [1.0, 2.0, 5.0]}


def test_a_model_says_what_it_is_and_that_it_is_there(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    assert ask(url, "GET", "/v2").json["name"] == "tiphys"
    assert ask(url, "GET", "/v2/health/live").json == {"live": True}
    assert ask(url, "GET", "/v2/health/ready").json == {"ready": True}
    assert ask(url, "GET", "/v2/models/m/ready").json == {"name": "m", "ready": True}
    missing = ask(url, "GET", "/v2/models/m/versions/9/ready")
    assert (missing.status, missing.json) == (404, {"name": "m", "ready": False})
    assert ask(url, "GET", "/v2/models/m/versions/1").json == {
        "name": "m",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    }


def test_a_version_may_be_named_by_its_label(model_server: Start, ask: Ask, tmp_path: Path) -> None:
    url = model_server(models=[ModelConfig("a b", tmp_path / "model", labels={"next one": 1})]).url
    place = "/v2/models/a%20b/versions/next%20one"
    assert ask(url, "GET", f"{place}/ready").json["ready"] is True
    assert ask(url, "GET", place).json["versions"] == ["1"]
    assert ask(url, "POST", f"{place}/infer", infer(X)).json["model_version"] == "1"
    refused = ask(url, "POST", "/v2/models/a%20b/versions/other/infer", infer(X))
    assert (refused.status, refused.json) == (404, {"error": "There is no version 'other'"})


def test_an_answer_is_that_of_v1(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    old = ask(url, "POST", "/v1/models/m:predict", json.dumps({"instances": [[1.0], [2.0], [5.0]]})).json
    for inputs in (X, {**X, "data": [[1.0], [2.0], [5]]}):
        answer = ask(url, "POST", "/v2/models/m/infer", infer(inputs, id="42"))
        assert answer.status == 200
        assert answer.json == {
            "model_name": "m",
            "model_version": "1",
            "id": "42",
            "outputs": [
                {
                    "name": "y",
                    "datatype": "FP32",
                    "shape": [3, 1],
                    "data": [row[0] for row in old["predictions"]],
                }
            ],
        }
    echo = [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["grüß", ""]},
        {"name": "whole", "shape": [2], "datatype": "INT64", "data": [2**62, -1]},
    ]
    body = infer(*echo, outputs=[{"name": "whole"}, {"name": "text"}], parameters={"signature_name": "echo"})
    outputs = ask(url, "POST", "/v2/models/m/versions/1/infer", body).json["outputs"]
    assert [(each["name"], each["data"]) for each in outputs] == [
        ("whole", [2**62, -1]),
        ("text", ["grüß", ""]),
    ]
    counted = ask(url, "GET", "/monitoring/prometheus/metrics").body.decode()
    assert 'API="Infer",entrypoint="REST"' in counted


@pytest.mark.parametrize(
    ("path", "body", "status", "part"),
    [
        ("/v2/models/no/infer", infer(X), 404, "Servable not found"),
        ("/v2/models/m/versions/x/infer", infer(X), 404, "no version 'x'"),
        ("/v2/models/m/infer", "[", 400, "JSON Parse error"),
        ("/v2/models/m/infer", "{}", 400, "has none"),
        ("/v2/models/m/infer", '{"inputs": 1}', 400, "list of objects"),
        ("/v2/models/m/infer", infer({**X, "name": 1}), 400, "a name and a datatype"),
        ("/v2/models/m/infer", infer({**X, "datatype": "FP8"}), 400, "'FP8' is no datatype"),
        ("/v2/models/m/infer", infer({**X, "datatype": "INT8"}), 400, "is INT8, and the model wants FP32"),
        ("/v2/models/m/infer", infer({**X, "shape": [3, -1]}), 400, "whole numbers"),
        ("/v2/models/m/infer", infer({**X, "shape": [3, *[1] * 300]}), 400, "larger than that of a tensor"),
        ("/v2/models/m/infer", infer({**X, "shape": [2**62, 2**62, 0], "data": []}), 400, "larger than that"),
        ("/v2/models/m/infer", infer({**X, "shape": "3"}), 400, "whole numbers"),
        ("/v2/models/m/infer", infer({**X, "data": 1}), 400, "its data is a list"),
        ("/v2/models/m/infer", infer(X, outputs=[{"name": "y"}] * 2), 400, "'y' is asked for twice"),
        ("/v2/models/m/infer", infer({**X, "shape": [2, 1]}), 400, "3 values do not fit [2, 1]"),
        ("/v2/models/m/infer", infer({**X, "data": [[1, 2, 5]]}), 400, "do not fit"),
        ("/v2/models/m/infer", infer({**X, "data": ["a", "b", "c"]}), 400, "not of expected type: float"),
        ("/v2/models/m/infer", infer({**X, "name": "z"}), 400, "the inputs are x, and not z"),
        ("/v2/models/m/infer", infer(X, X), 400, "there twice"),
        ("/v2/models/m/infer", infer(X, outputs=[{"name": "no"}]), 400, "no output 'no': y"),
        ("/v2/models/m/infer", infer(X, parameters={"signature_name": "no"}), 400, '"no" not found'),
    ],
)
def test_errors(model_server: Start, ask: Ask, path: str, body: str, status: int, part: str) -> None:
    answer = ask(model_server().url, "POST", path, body)
    assert answer.status == status and part in answer.error


def test_other_methods_and_paths(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    assert ask(url, "GET", "/v2/models/m/infer").status == 400
    assert ask(url, "POST", "/v2/models/m", "{}").status == 400
    assert ask(url, "GET", "/v2/repository/index").status == 404


def test_the_examples_of_the_specification() -> None:
    document: Any = {
        "id": "42",
        "inputs": [
            {"name": "input0", "shape": [2, 2], "datatype": "UINT32", "data": [1, 2, 3, 4]},
            {"name": "input1", "shape": [3], "datatype": "BOOL", "data": [True, False, True]},
        ],
        "outputs": [{"name": "output0"}],
    }
    request = inference_request(document)
    signature = Signature(
        {"input0": TensorInfo("DT_UINT32", None), "input1": TensorInfo("DT_BOOL", None)},
        {"output0": TensorInfo("DT_FLOAT", None)},
    )
    found = request.tensors(signature)
    assert (found["input0"].shape, list(found["input0"].values)) == ((2, 2), [1, 2, 3, 4])
    assert list(found["input1"].values) == [1, 0, 1]
    answer = inference_answer(
        "mymodel", 1, request, {"output0": Tensor("DT_FLOAT", (3, 2), [1.0, 1.1, 2.0, 2.1, 3.0, 3.1])}
    )
    assert json.loads(answer) == {
        "model_name": "mymodel",
        "model_version": "1",
        "id": "42",
        "outputs": [
            {"name": "output0", "shape": [3, 2], "datatype": "FP32", "data": [1.0, 1.1, 2.0, 2.1, 3.0, 3.1]}
        ],
    }


def test_a_model_that_is_not_there(model_server: Start, ask: Ask) -> None:
    url = model_server().url
    for path in ("/v2/models/other", "/v2/models/other/ready", "/v2/models/m/versions/9"):
        assert ask(url, "GET", path).status == 404
