"""The tasks of a MultiInferenceRequest: what multi_inference.cc says of those that cannot be."""

from __future__ import annotations

import pytest

from tiphys.serving.model import Code, ModelError
from tiphys.serving.model.fake import SIGNATURES
from tiphys.serving.rpc.messages import InferenceTask, ModelSpec
from tiphys.serving.rpc.plans import inference_plans

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def task(key: str, method: str, model: str = "m") -> InferenceTask:
    return InferenceTask(ModelSpec(name=model, signature=key), method)


def test_each_signature_is_asked_once_in_the_order_of_the_tasks() -> None:
    tasks = [task("regress_x_to_y", REGRESS), task("classify_x_to_y", CLASSIFY)]
    found = inference_plans(tasks, SIGNATURES)
    assert [(key, method, plan.input) for key, (method, plan) in found.items()] == [
        ("regress_x_to_y", REGRESS, "inputs"),
        ("classify_x_to_y", CLASSIFY, "inputs"),
    ]


@pytest.mark.parametrize(
    ("tasks", "code", "said"),
    [
        ([task("regress_x_to_y", REGRESS, "")], Code.INVALID_ARGUMENT, "with an empty model name"),
        (
            [task("regress_x_to_y", REGRESS), task("classify_x_to_y", CLASSIFY, "n")],
            Code.INVALID_ARGUMENT,
            "must access the same model name",
        ),
        ([task("regress_x_to_y", REGRESS)] * 2, Code.INVALID_ARGUMENT, "Duplicate evaluation of signature"),
        (
            [task("none", REGRESS)],
            Code.INVALID_ARGUMENT,
            "Requested signature not found in model graph: none",
        ),
        (
            [task("regress_x_to_y", "predict")],
            Code.UNIMPLEMENTED,
            "Unsupported signature method_name: predict",
        ),
    ],
)
def test_what_cannot_be_asked(tasks: list[InferenceTask], code: Code, said: str) -> None:
    with pytest.raises(ModelError, match=said) as told:
        inference_plans(tasks, SIGNATURES)
    assert told.value.code is code
