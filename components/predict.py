"""One prediction out of several services: real images go to each, the answers are combined."""

from __future__ import annotations

import http.client
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from components.catalog import CLASSES
from components.dataset import Dataset
from components.picture import beside, draw
from tiphys.errors import ComponentError
from tiphys.reference import Reference

__all__ = ["Prediction", "combine_probabilities", "predict"]

RETRY_SECONDS = 30.0
REQUEST_SECONDS = 30.0
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
    averages the probabilities; ``vote`` takes the label that most services put first, the average deciding ties. A
    service that refuses the connection or is not ready is asked again for half a minute. Raises ComponentError:
    TIP708 the data set is damaged, TIP750 a service cannot be reached, TIP751 its answer is not as expected, TIP752
    a bad parameter.
    """
    asked = [url.rstrip("/") for url in urls if url.strip()]
    data = Dataset.open(dataset)
    _check(asked, combine, count, data)
    indices = _draw_indices(count, data.examples("test"), seed)
    images, labels = data.take("test", indices)
    pixels, truth = images.tolist(), labels.tolist()
    answers = []
    for url in asked:
        answer: Probabilities = []
        for start in range(0, count, _BATCH):
            answer += ask(url, model, pixels[start : start + _BATCH])
        answers.append(answer)
    combined, votes = combine_probabilities(answers, combine)
    items = [
        {
            "index": index,
            "label": CLASSES[_best(row)],
            "truth": CLASSES[truth[position]],
            "probabilities": [round(value, 6) for value in row],
            "votes": votes[position],
        }
        for position, (index, row) in enumerate(zip(indices, combined, strict=True))
    ]
    right = sum(item["label"] == item["truth"] for item in items)
    record = {
        "combine": combine,
        "urls": asked,
        "model": model,
        "synthetic": data.synthetic,
        "accuracy": round(right / count, 6),
        "count": count,
        "images": items,
    }
    return Prediction(record, _summary(record, pixels[0]))


def combine_probabilities(answers: list[Probabilities], how: str) -> tuple[Probabilities, list[list[str]]]:
    """For each image the combined probabilities, and the label that each service put first.

    With ``vote`` the numbers are the shares of the votes, with the mean probabilities, scaled below any vote, to
    decide ties.
    """
    mean = [[math.fsum(values) / len(answers) for values in zip(*rows, strict=True)] for rows in zip(*answers, strict=True)]
    firsts = [[_best(row) for row in rows] for rows in zip(*answers, strict=True)]
    votes = [[CLASSES[label] for label in row] for row in firsts]
    if how == "mean":
        return mean, votes
    shares: Probabilities = []
    for row, first in zip(mean, firsts, strict=True):
        winners = {label for label in first if first.count(label) == max(map(first.count, first))}
        winner = max(winners, key=lambda label: (row[label], -label))
        share = [first.count(label) / len(first) for label in range(len(row))]
        if len(winners) > 1:  # a tie: the winner is shown first by a margin that is no vote
            share[winner] += 1e-6
        shares.append(share)
    return shares, votes


def ask(
    url: str,
    model: str,
    images: list[Any],
    *,
    seconds: float = RETRY_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> Probabilities:
    """POST ``images`` to TensorFlow Serving's predict; check and return ten probabilities for each."""
    target = f"{url}/v1/models/{model}:predict"
    body = json.dumps({"signature_name": "serving_default", "instances": images}, separators=(",", ":")).encode()
    deadline = time.monotonic() + seconds
    while True:
        request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
        try:
            with _OPENER.open(request, timeout=REQUEST_SECONDS) as response:
                return _checked(response.read(), len(images), target)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(2000).decode(errors="replace")
            if error.code not in (404, 429, 503) or time.monotonic() > deadline:
                raise ComponentError(
                    "TIP751", f"{target} answered {error.code}", where=target, cause=text.strip(), fix=_FIX
                ) from error
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                reason = getattr(error, "reason", error)
                raise ComponentError(
                    "TIP750", f"the service {url} cannot be reached", where=target, cause=str(reason), fix=_FIX
                ) from error
        pause(0.25)


_FIX = "look at the service's replicas: are they running, do they serve this model?"
# A service is never behind the proxy that a download may need.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _checked(body: bytes, count: int, target: str) -> Probabilities:
    try:
        answer = json.loads(body)
        rows = answer["predictions"]
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
    except (ValueError, KeyError, TypeError) as error:
        raise ComponentError(
            "TIP751",
            f"{target} gave an answer that is no prediction",
            where=target,
            cause=f"{type(error).__name__}: {error}; the answer begins {body[:80]!r}",
            fix=_FIX,
        ) from error


def _check(urls: list[str], combine: str, count: int, data: Dataset) -> None:
    if not urls:
        raise ComponentError("TIP752", "there is no service to ask", fix="give at least one URL")
    for url in urls:
        if not url.startswith(("http://", "https://")):
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
        f"{record['count']} images asked, {round(record['accuracy'] * record['count'])} right",
    ]
    lines = beside(draw(image), right)
    if record["synthetic"]:
        lines = ["*** GENERATED stand-in data, NOT real Fashion-MNIST ***", *lines]
    return "\n".join(lines)
