"""What a request of the Open Inference Protocol must be, whatever carries it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tiphys.serving.model.inference import (
    DATATYPES,
    InferenceInput,
    InferenceRequest,
    all_ready,
    asked_version,
    datatype_of,
    is_ready,
    model_about,
)
from tiphys.serving.model.servable import (
    MAX_RANK,
    Code,
    ModelError,
    Signature,
    Tensor,
    TensorInfo,
    Values,
    fits,
)
from tiphys.serving.server import ModelServer

FLOAT = TensorInfo("DT_FLOAT", None)


@dataclass(frozen=True, slots=True)
class Given(InferenceInput):
    def values(self, dtype: str) -> Values:
        return array("f", range(self.count))


def request(*inputs: InferenceInput, outputs: tuple[str, ...] = ()) -> InferenceRequest:
    return InferenceRequest.of("", "", inputs, outputs)


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "part"),
    [
        ("", "FP32", (1,), "a name and a datatype"),
        ("x", "", (1,), "a name and a datatype"),
        ("x", "FP8", (1,), "input 'x': 'FP8' is no datatype: BOOL, UINT8"),
        ("x", "FP32", (2, -1), "input 'x': its shape is a list of whole numbers"),
        ("x", "FP32", (1,) * (MAX_RANK + 1), "larger than that of a tensor"),
        ("x", "FP32", (0, 2**62, 2**62), "larger than that of a tensor"),
        ("x" * 10**6, "FP8", (1,), f"input '{'x' * 100}': 'FP8'"),
    ],
)
def test_an_input_that_cannot_be_one(name: str, datatype: str, shape: tuple[int, ...], part: str) -> None:
    with pytest.raises(ModelError) as caught:
        Given(name, datatype, shape)
    assert caught.value.code is Code.INVALID_ARGUMENT and part in caught.value.message
    assert len(caught.value.message) < 1000


def test_a_shape_that_tensorflow_takes() -> None:
    assert fits(()) and fits((0, 5)) and fits((1,) * MAX_RANK) and fits((2**40,))
    assert not fits((2**40, 2)) and not fits((0, 2**41)) and not fits((-1,)) and not fits((1,) * 300)
    assert not fits([2**62] * 10**6)  # and it is not multiplied out


def test_what_does_not_fit_the_signature() -> None:
    signature = Signature({"x": FLOAT}, {"y": FLOAT})
    x = Given("x", "FP32", (2,))
    assert list(request(x, outputs=("y",)).tensors(signature)["x"].values) == [0, 1]
    for asked, part in (
        (request(Given("z", "FP32", (2,))), "the inputs are x, and not z"),
        (request(x, outputs=("no",)), "there is no output 'no': y"),
        (request(Given("x", "INT8", (2,))), "input 'x' is INT8, and the model wants FP32"),
    ):
        with pytest.raises(ModelError, match=part):
            asked.tensors(signature)
    with pytest.raises(ModelError, match="the model wants complex64"):
        request(x).tensors(Signature({"x": TensorInfo("DT_COMPLEX64", None)}, {}))


def test_a_request_that_cannot_be_one() -> None:
    x = Given("x", "FP32", (1,))
    with pytest.raises(ModelError, match="'inputs' has none"):
        request()
    with pytest.raises(ModelError, match="'x' is there twice"):
        request(x, x)
    with pytest.raises(ModelError, match="'y' is asked for twice"):
        request(x, outputs=("y", "y"))


def test_answers_are_those_that_are_wanted_or_all() -> None:
    outputs = {"b": Tensor("DT_INT8", (1,), b"\1"), "a": Tensor("DT_HALF", (1,), [1.0])}
    x = Given("x", "FP32", (1,))
    assert [each[:2] for each in request(x).answered(outputs)] == [("a", "FP16"), ("b", "INT8")]
    assert [each[0] for each in request(x, outputs=("b",)).answered(outputs)] == ["b"]
    with pytest.raises(ModelError) as caught:
        datatype_of("y", Tensor("DT_COMPLEX64", (0,), []))
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.message == "output 'y': complex64 is no datatype of V2"
    assert {datatype_of("", Tensor(dtype, (0,), [])) for dtype in DATATYPES.values()} == DATATYPES.keys()


@pytest.mark.parametrize("text", ["x", "-1", "²", "1.0", "9" * 19])
def test_versions(text: str, model_server: Callable[..., ModelServer]) -> None:
    manager = model_server().manager
    assert asked_version(manager, "m", "") == (None, "")
    assert asked_version(manager, "m", "07") == (7, "")
    with pytest.raises(ModelError, match="There is no version") as caught:
        asked_version(manager, "m", text)
    assert caught.value.code is Code.NOT_FOUND


def test_what_is_told_of_a_model(model_server: Callable[..., ModelServer]) -> None:
    server = model_server()

    async def told() -> None:
        manager = server.manager
        assert all_ready(manager) and is_ready(manager, "m", "1")
        assert not is_ready(manager, "m", "9") and not is_ready(manager, "other")
        about = model_about(manager, "m")
        assert (about.name, about.versions) == ("m", ("1",))
        assert about.inputs == (("x", "FP32", (-1, 1)),)
        with pytest.raises(ModelError):
            model_about(manager, "m", "9")

    server.run(told())
