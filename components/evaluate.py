"""Evaluation: the exported model, through its serving signature, on the validation and the test images."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.catalog import CLASSES
from components.dataset import Dataset, Split
from components.publish import published
from components.report import Report
from components.restore import read
from components.slices import by_slice, worst_slice
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve, verify
from tiphys.step.enough import judged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

__all__ = ["Evaluation", "evaluate"]

_BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """``accuracy`` is the report's validation accuracy."""

    report: Report
    accuracy: float


def evaluate(name: str, model: Reference, dataset: Reference) -> Evaluation:
    """Measure ``model`` as it will be served: raw bytes in, probabilities out.

    The validation accuracy is there to choose by, the test accuracy to report. Raises ComponentError: TIP708 the data
    set is damaged, TIP713 TensorFlow is missing, TIP720 the model is missing, altered or has another signature.
    """
    sealed = _sealed(model)

    def measured(data: Dataset) -> tuple[Any, Any, Any, Dataset]:
        answer = _load(sealed)  # after the data, which may not be there
        validation, _ = _answered(data, "validation", answer, sealed)
        test, right = _answered(data, "test", answer, sealed)
        return validation, test, by_slice(data.columns("test"), right), data

    validation, test, slices, data = read(dataset, measured)
    totals = test.sum(axis=1)
    report = Report(
        name=name,
        uri=sealed.uri,
        digest=sealed.digest,
        validation_accuracy=_accuracy(validation),
        test_accuracy=_accuracy(test),
        seconds=_seconds(resolve(sealed.uri)),
        synthetic=data.synthetic,
        class_accuracy={
            label: round(int(test[index, index]) / int(totals[index]), 4)
            for index, label in enumerate(CLASSES)
            if totals[index]
        },
        confusion=test.tolist(),
        slices={
            column: {value: round(hits / rows, 4) for value, (hits, rows) in of.items()}
            for column, of in slices.items()
        },
        worst_slice=worst_slice(slices),
        dataset=data.reference.digest,
    )
    judged(name, asdict(report))
    return Evaluation(report, report.validation_accuracy)


def _sealed(model: Reference) -> Reference:
    if model.digest:
        problem = verify(model)
        found: Reference | None = model
    else:
        problem = verify(Reference(model.uri))
        found = published(model.uri)
    if problem or found is None:
        raise _unusable(
            model, problem or "its manifest is missing", "train it again: remove its folder and run again"
        )
    return found


def _load(model: Reference) -> Answer:
    """The model as a server loads it, for which nothing of TensorFlow's Python library is imported: that takes longer
    than all the answers."""
    # here, since who compiles the pipeline imports this module, too
    from tiphys.serving.loading import load
    from tiphys.serving.model.servable import DEFAULT_SIGNATURE, ModelError, Signature, Tensor

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    if find_spec("tensorflow") is None:
        raise ComponentError(
            "TIP713",
            "evaluation needs TensorFlow, which is not installed",
            fix="pip install 'tiphys[train]'",
        )
    try:
        servable = load(resolve(model.uri) / "1", warm=False)
        signature = servable.signatures.get(DEFAULT_SIGNATURE) or Signature({}, {})
        inputs = {name: info.dtype for name, info in signature.inputs.items()}
        if inputs != {"images": "DT_UINT8"}:
            raise ValueError(f"its signature takes {inputs}, expected images as DT_UINT8")
        if set(signature.outputs) != {"probabilities"}:
            raise ValueError(f"its signature gives {sorted(signature.outputs)}, expected probabilities")
    except (OSError, ValueError, ModelError) as error:
        raise _unusable(
            model, f"{type(error).__name__}: {error}", "export it with the signature of components.export"
        ) from error

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        import numpy as np

        asked = Tensor("DT_UINT8", images.shape, array("B", images.tobytes()))
        try:
            found = servable.run(DEFAULT_SIGNATURE, {"images": asked})["probabilities"]
        except ModelError as error:
            raise _unusable(model, f"it does not answer: {error}", "train it again") from error
        return np.array(found.values, np.float32).reshape(found.shape)

    return answer


def _answered(
    data: Dataset, split: Split, answer: Answer, model: Reference
) -> tuple[NDArray[np.int64], list[bool]]:
    """Counts (rows: the truth, columns: the most probable class), and whether each example was answered right."""
    import numpy as np

    classes = len(CLASSES)
    counts = np.zeros((classes, classes), dtype=np.int64)
    right: list[bool] = []
    for images, labels in data.batches(split, _BATCH):
        probabilities = answer(images)
        if probabilities.shape != (len(images), classes) or not np.isfinite(probabilities).all():
            raise _unusable(model, "its answer is not ten finite numbers for each image", "train it again")
        chosen = probabilities.argmax(axis=1)
        np.add.at(counts, (labels.astype(np.int64), chosen), 1)
        right += (chosen == labels).tolist()
    return counts, right


def _accuracy(confusion: NDArray[np.int64]) -> float:
    return round(int(confusion.trace()) / max(1, int(confusion.sum())), 6)


def _seconds(folder: Path) -> float:
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return round(sum(float(json.loads(line)["seconds"]) for line in lines), 1)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _unusable(model: Reference, cause: str, fix: str) -> ComponentError:
    return ComponentError(
        "TIP720", f"the model {model.uri} cannot be used", where=model.uri, cause=cause, fix=fix
    )
