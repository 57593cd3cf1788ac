"""One prediction out of several services: real images go to each, the answers are combined."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from components.catalog import CLASSES
from components.dataset import Dataset
from components.picture import beside, draw
from components.restore import opened
from tiphys.errors import ComponentError, ServingError
from tiphys.reference import Reference
from tiphys.serving import ServingClient, mean, vote

__all__ = ["Prediction", "ask", "predict"]

READY_SECONDS = 60.0
_BATCH = 64

Probabilities = list[list[float]]


@dataclass(frozen=True)
class Prediction:
    """``prediction``: the record; ``summary``: text with the first image as a picture next to its label."""

    prediction: dict[str, Any]
    summary: str


def predict(
    urls: list[str],
    dataset: Reference,
    combine: Literal["mean", "vote"] = "mean",
    count: int = 10,
    model: str = "fashion-mnist",
    seed: int = 7,
) -> Prediction:
    """Send ``count`` test images, drawn by ``seed``, to the service at each of ``urls``; combine the answers.

    Each service speaks TensorFlow Serving's REST interface and serves ``model``; empty URLs are left out. ``mean``
    takes the label with the highest mean probability; ``vote`` the label that most services put first, the mean
    deciding ties. A service that cannot be reached or has no model yet is asked again for a minute. Raises
    ComponentError: TIP708 the data set is damaged, TIP750 a service does not answer, TIP751 its answer is not as
    expected, TIP752 a bad parameter.
    """
    asked = [url.rstrip("/") for url in urls if url.strip()]
    data = opened(dataset)
    _check(asked, combine, count, data)
    indices = _draw_indices(count, data.examples("test"), seed)
    images, labels = data.take("test", indices)
    pixels, truth = images.tolist(), labels.tolist()
    answers = [ask(url, model, pixels) for url in asked]
    combined = mean(answers)
    chosen = [_best(row) for row in combined] if combine == "mean" else [row.label for row in vote(answers)]
    items = [
        {
            "index": index,
            "label": CLASSES[chosen[position]],
            "truth": CLASSES[truth[position]],
            "probabilities": [round(value, 6) for value in combined[position]],
            "votes": [CLASSES[_best(answer[position])] for answer in answers],
        }
        for position, index in enumerate(indices)
    ]
    right = sum(item["label"] == item["truth"] for item in items)
    record = {
        "combine": combine,
        "urls": asked,
        "model": model,
        "synthetic": data.synthetic,
        "accuracy": round(right / count, 6),
        "count": count,
        "right": right,
        "images": items,
    }
    return Prediction(record, _summary(record, pixels[0]))


def ask(
    url: str,
    model: str,
    images: list[Any],
    *,
    seconds: float = READY_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> Probabilities:
    """Ten probabilities for each of ``images`` from the service at ``url``, checked.

    Raises ComponentError TIP750 when it does not answer within ``seconds``, TIP751 when its answer is no prediction.
    """
    deadline = time.monotonic() + seconds
    answer: Probabilities = []
    while len(answer) < len(images):
        part = images[len(answer) : len(answer) + _BATCH]
        try:
            with ServingClient(url, model) as client:
                client.wait_ready(max(0.0, deadline - time.monotonic()))
                answer += _checked(
                    client.predict(instances=part, signature="serving_default"), len(part), url
                )
        except ServingError as error:
            if error.code in _TRANSIENT and time.monotonic() < deadline:
                pause(0.1)
                continue
            reason = f"{error.message} {error.cause}".strip()
            if error.code in (*_TRANSIENT, "TIP525"):
                message = f"the service {url} does not answer"
                raise ComponentError("TIP750", message, where=url, cause=reason, fix=_FIX) from error
            message = f"the service {url} did not predict"
            raise ComponentError("TIP751", message, where=url, cause=reason, fix=_FIX) from error
    return answer


# No connection and no answer in time: the replica may be on its way out, the balancer has others.
_TRANSIENT = ("TIP520", "TIP522")
_FIX = "look at the service's replicas: are they running, do they serve this model?"


def _checked(rows: Any, count: int, url: str) -> Probabilities:
    try:
        if len(rows) != count:
            raise ValueError(f"{len(rows)} predictions for {count} images")
        checked = []
        for row in rows:
            values = [float(value) for value in row]
            if len(values) != len(CLASSES):
                raise ValueError(f"{len(values)} numbers for {len(CLASSES)} classes")
            if not all(math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6 for value in values):
                raise ValueError("a probability is not between 0 and 1")
            if abs(math.fsum(values) - 1.0) > 1e-3:
                raise ValueError(f"probabilities add up to {math.fsum(values):.4f}")
            checked.append(values)
        return checked
    except (ValueError, TypeError) as error:
        raise ComponentError(
            "TIP751",
            f"the service {url} gave an answer that is no prediction",
            where=url,
            cause=f"{type(error).__name__}: {error}; the answer begins {str(rows)[:80]}",
            fix=_FIX,
        ) from error


def _check(urls: list[str], combine: str, count: int, data: Dataset) -> None:
    if not urls:
        raise ComponentError("TIP752", "there is no service to ask", fix="give at least one URL")
    for url in urls:
        if not url.startswith("http://"):
            raise ComponentError("TIP752", f"{url!r} is not an http URL", fix="give http://HOST:PORT")
    if combine not in ("mean", "vote"):
        raise ComponentError("TIP752", f"combine is {combine!r}", fix="give mean or vote")
    most = data.examples("test")
    if not 1 <= count <= most:
        raise ComponentError("TIP752", f"count is {count}", fix=f"give a number from 1 to {most}")


def _draw_indices(count: int, total: int, seed: int) -> list[int]:
    import numpy as np

    chosen = np.random.default_rng(seed).permutation(total)[:count]
    return [int(index) for index in chosen]


def _best(row: list[float]) -> int:
    return max(range(len(row)), key=lambda label: (row[label], -label))


def _summary(record: dict[str, Any], image: list[list[int]]) -> str:
    first = record["images"][0]
    ranked = sorted(zip(first["probabilities"], CLASSES, strict=True), key=lambda pair: -pair[0])[:3]
    verdict = "right" if first["label"] == first["truth"] else "wrong"
    services = len(record["urls"])
    how = "mean of probabilities" if record["combine"] == "mean" else "majority vote"
    right = [
        "",
        f"test image {first['index']}",
        f"prediction: {first['label']}",
        f"truth:      {first['truth']} ({verdict})",
        "",
        *(f"{value:6.1%}  {'█' * round(value * 20):20}  {label}".rstrip() for value, label in ranked),
        "",
        f"{how} of {services} {'services' if services > 1 else 'service'}",
        f"{record['right']} of {record['count']} images right",
    ]
    lines = beside(draw(image), right)
    if record["synthetic"]:
        lines = ["*** GENERATED stand-in data, NOT real Fashion-MNIST ***", *lines]
    return "\n".join(lines)
