"""How the tasks of a MultiInferenceRequest are asked: by a server, and by a warm-up. Source: multi_inference.cc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.serving.model.servable import CLASSIFY, DEFAULT_SIGNATURE, REGRESS, Code, ModelError, invalid
from tiphys.serving.rest.examples import Classify, Regress

if TYPE_CHECKING:
    from tiphys.serving.model.servable import Signature
    from tiphys.serving.rpc.messages import InferenceTask

__all__ = ["inference_plans"]


def inference_plans(
    tasks: Sequence[InferenceTask], signatures: Mapping[str, Signature]
) -> dict[str, tuple[str, Classify | Regress]]:
    """Of each signature the method, and how it is asked, in the order of the tasks. Raises ModelError."""
    found: dict[str, tuple[str, Classify | Regress]] = {}
    for task in tasks:
        if not task.spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.spec.name != tasks[0].spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        key = task.spec.signature or DEFAULT_SIGNATURE
        if key in found:
            raise invalid(f"Duplicate evaluation of signature: {key}")
        if key not in signatures:
            raise invalid(f"Requested signature not found in model graph: {key}")
        if task.method not in (CLASSIFY, REGRESS):
            raise ModelError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method}")
        call = Classify if task.method == CLASSIFY else Regress
        found[key] = task.method, call(key, signatures)
    return found
