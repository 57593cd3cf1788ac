"""One prediction out of several services: real images go to each, the answers are combined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from components.catalog import CLASSES
from components.dataset import Dataset
from components.picture import beside, draw
from components.restore import opened
from tiphys.errors import ComponentError
from tiphys.reference import Reference
from tiphys.serving import Ensemble, EnsembleAnswer, EnsembleMember, TooFewAnswersError
from tiphys.serving.ensemble import PASSING

__all__ = ["Prediction", "predict"]

Combine = Literal["mean", "vote", "weighted-mean", "weighted-vote"]

_BATCH = 64
_DAY = 86400.0
_HOW = {
    "mean": "mean of probabilities",
    "vote": "majority vote",
    "weighted-mean": "weighted mean of probabilities",
    "weighted-vote": "weighted majority vote",
}


@dataclass(frozen=True)
class Prediction:
    """``prediction``: the record; ``summary``: text with the first image as a picture next to its label."""

    prediction: dict[str, Any]
    summary: str


def predict(
    urls: list[str],
    dataset: Reference,
    combine: Combine = "mean",
    count: int = 10,
    model: str = "fashion-mnist",
    seed: int = 7,
    weights: list[float] | None = None,
    at_least: int = 0,
    deadline: float = 60.0,
) -> Prediction:
    """Send ``count`` test images, drawn by ``seed``, to the services at ``urls``, all at once; combine the answers.

    Each service speaks TensorFlow Serving's REST interface and serves ``model``; empty URLs are left out. ``mean``
    takes the label with the highest mean probability; ``vote`` the label that most services put first, the mean
    deciding ties. ``weighted-mean`` and ``weighted-vote`` let each count by its one of ``weights``, the models'
    accuracies for example (one for each of ``urls``, above 0); the others do not look at them.

    A service that cannot be reached or has no model yet is asked again until ``deadline``, in seconds, which all have
    in common. ``at_least`` of them must answer; 0: all. Where that many did, the rest are left out, with the reason:
    who is late or gone, and who answers with anything but ten probabilities for each image, of any part of them.
    Raises ComponentError: TIP708 the data set is damaged, TIP750 too few services answer, TIP751 too few, and one of
    them gave an answer that is not as expected, TIP752 a bad parameter.
    """
    data = opened(dataset)
    members = _members(urls, model, combine, weights)
    _check(len(members), count, at_least, deadline, data)
    indices = _draw_indices(count, data.examples("test"), seed)
    images, labels = data.take("test", indices)
    pixels, truth = images.tolist(), labels.tolist()
    answer = _asked(members, combine, at_least, deadline, pixels)
    items = [
        {
            "index": index,
            "label": CLASSES[answer.labels[position]],
            "truth": CLASSES[truth[position]],
            "probabilities": [round(value, 6) for value in answer.probabilities[position]],
            "votes": [CLASSES[_best(answer.answers[place][position])] for place in answer.answered],
        }
        for position, index in enumerate(indices)
    ]
    right = sum(item["label"] == item["truth"] for item in items)
    record = {
        "combine": combine,
        "urls": [member.url for member in members],
        "weights": [member.weight for member in members],
        "answered": [members[place].url for place in answer.answered],
        "missing": [
            {"url": members[place].url, "why": f"{error.message} {error.cause}".strip()}
            for place, error in answer.missing.items()
        ],
        "model": model,
        "synthetic": data.synthetic,
        "accuracy": round(right / count, 6),
        "count": count,
        "right": right,
        "images": items,
    }
    return Prediction(record, _summary(record, pixels[0]))


def _asked(
    members: Sequence[EnsembleMember],
    combine: Combine,
    at_least: int,
    deadline: float,
    images: Sequence[object],
) -> EnsembleAnswer:
    """What the services say of ``images``, [rows][28][28], combined. Raises ComponentError TIP750, TIP751."""
    try:
        with Ensemble(
            members,
            combine="vote" if combine in ("vote", "weighted-vote") else "mean",
            deadline=deadline,
            at_least=at_least or len(members),
            patient=True,
            batch=_BATCH,
            check=_checked,
        ) as ensemble:
            return ensemble.predict(images, signature="serving_default")
    except TooFewAnswersError as error:
        wrong = [
            place for place, each in error.missing.items() if each.code not in PASSING
        ]  # it answered, and wrongly
        who = ", ".join(members[place].url for place in wrong or error.missing)
        told = {"where": who, "cause": f"{error.message}\n{error.cause}", "fix": _FIX}
        if wrong:
            raise ComponentError("TIP751", f"no prediction from {who}", **told) from error
        raise ComponentError("TIP750", f"no answer from {who}", **told) from error


_FIX = "look at the service's replicas: are they running, do they serve this model? Or let fewer answer: at_least"


def _checked(rows: list[list[float]]) -> None:
    """Raises ValueError unless each of ``rows`` is a distribution over the classes."""
    for row in rows:
        if len(row) != len(CLASSES):
            raise ValueError(f"{len(row)} numbers for {len(CLASSES)} classes")
        if not all(-1e-6 <= value <= 1 + 1e-6 for value in row):  # nor does NaN
            raise ValueError("a probability is not between 0 and 1")
        if abs(math.fsum(row) - 1.0) > 1e-3:
            raise ValueError(f"probabilities add up to {math.fsum(row):.4f}")


def _members(
    urls: Sequence[str], model: str, combine: Combine, weights: Sequence[float] | None
) -> list[EnsembleMember]:
    """Those to ask, and how much each counts. Raises ComponentError TIP752."""
    if combine not in get_args(Combine):
        raise ComponentError(
            "TIP752", f"combine is {combine!r}", fix=f"give one of {', '.join(get_args(Combine))}"
        )
    weighted = combine in ("weighted-mean", "weighted-vote")
    shares = (weights or []) if weighted else [1.0] * len(urls)
    if len(shares) != len(urls):
        raise ComponentError(
            "TIP752", f"{len(shares)} weights for {len(urls)} URLs", fix="give one for each, empty ones too"
        )
    members = []
    for url, share in zip(urls, shares, strict=True):
        if not (address := url.strip().rstrip("/")):
            continue
        if not _is_http(address):
            raise ComponentError("TIP752", f"{address!r} is not an http URL", fix="give http://HOST:PORT")
        if not 0 < share < math.inf:
            raise ComponentError("TIP752", f"the weight of {address} is {share}", fix="give a number above 0")
        members.append(EnsembleMember(address, model, share))
    return members


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number is its port, or no address in its brackets
        return False


def _check(services: int, count: int, at_least: int, deadline: float, data: Dataset) -> None:
    if not services:
        raise ComponentError("TIP752", "there is no service to ask", fix="give at least one URL")
    if not 0 <= at_least <= services:
        raise ComponentError(
            "TIP752",
            f"{at_least} services must answer, and {services} are asked",
            fix="at_least is from 1 to their number, or 0 for all",
        )
    if not 0 < deadline <= _DAY:
        raise ComponentError("TIP752", f"the deadline is {deadline}", fix="give seconds, a day at most")
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
    services, missing = len(record["urls"]), record["missing"]
    of = f"{len(record['answered'])} of {services}" if missing else f"{services}"
    right = [
        "",
        f"test image {first['index']}",
        f"prediction: {first['label']}",
        f"truth:      {first['truth']} ({verdict})",
        "",
        *(f"{value:6.1%}  {'█' * round(value * 20):20}  {label}".rstrip() for value, label in ranked),
        "",
        f"{_HOW[record['combine']]} of {of} {'services' if services > 1 else 'service'}",
        f"{record['right']} of {record['count']} images right",
    ]
    lines = beside(draw(image), right)
    if missing:
        lines += ["", *(f"left out: {each['url']}: {each['why']}" for each in missing)]
    if record["synthetic"]:
        lines = ["*** GENERATED stand-in data, NOT real Fashion-MNIST ***", *lines]
    return "\n".join(lines)
