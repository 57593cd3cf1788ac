"""A hundred thousand broken bodies: each gets the right answer, and whoever asks beside them is answered as before.

    python benchmarks/serving_fuzz.py [--bodies 100000] [--seed 1] [--json FILE]

Bodies are good ones of which bytes were changed, cut, doubled or put elsewhere. What is right is said by Python's own
``json`` and by plain arithmetic (the model is y = x / 2 + 2): a body that is a list of numbers to it is answered with
their values, one that it cannot read with 400 and a document that says why (as the server does, it reads the first
value of a body alone; what RapidJSON reads and ``json`` does not, or the other way round, may be either). Anything else
is 200 or 400. Beside that a client asks small requests, before and meanwhile.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import multiprocessing
import random
import struct
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.hostile import server, small
from benchmarks.results import about, show, write

PATH = "/v1/models/m:predict"
GOOD = [
    b'{"instances": [1.0, 2.0, -3.5e2, 0, 7]}',
    b'{"signature_name": "serving_default", "instances": [[1.5], [2]]}',
    b'{"inputs": {"x": [1, 2, 3]}}',
    b'{"instances": [{"x": 1.0}, {"x": 2.5}]}',
    b'{"instances": [1.25, 1e3], "note": "caf\\u00e9 \\ud83d\\ude00 \\n \xc3\xa9"}',
    json.dumps({"instances": [each / 7 for each in range(300)]}).encode(),
]
SPECIAL = b'[]{}",:.-+eE0123456789 \n\t\\u/truefalsn\x00\x7f\xff\xc3'


def broken(rng: random.Random) -> bytes:
    body = bytearray(rng.choice(GOOD))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body) + 1)
        end = min(len(body), at + rng.choice((1, 1, 2, 5, 20)))
        kind = rng.randrange(5)
        if kind == 0:
            body[at:end] = bytes(rng.choice(SPECIAL) for _ in range(end - at))
        elif kind == 1:
            del body[at:end]
        elif kind == 2:
            body[at:at] = bytes(rng.choice(SPECIAL) for _ in range(rng.choice((1, 2, 4))))
        elif kind == 3:
            body[at:at] = body[at:end] * rng.choice((1, 2, 50))
        else:
            body[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
    return bytes(body)


def right(body: bytes) -> list[float] | bool | None:
    """The values of the answer; False: it is 400; None: it may be either."""
    if any(each in body for each in (b"N", b"I", b"\x00")) or max(body, default=0) > 127:
        return None  # NaN and Infinity, and what is no ASCII, each reads in its own way
    text = body.decode("ascii")
    try:
        document, _ = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip(" \n\t\r")))
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or set(document) != {"instances"} or text.count('"instances"') != 1:
        return None
    found = document["instances"]
    if not isinstance(found, list) or not found or any(type(each) not in (int, float) for each in found):
        return None
    if any(abs(each) > 1e30 or 0 < abs(each) < 1e-30 for each in found):
        return None
    return [_float(_float(each) / 2 + 2) for each in found]


def _float(value: float) -> float:
    """As 32 bits have it."""
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


def send(port: int, seed: int, count: int, told: Any) -> None:
    rng, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers: dict[str, int] = {}
    faults: list[str] = []
    for _ in range(count):
        body = broken(rng)
        connection.request("POST", PATH, body)
        answer = connection.getresponse()
        said, wanted = answer.read(), right(body)
        what = fault(answer.status, said, wanted)
        if what:
            faults.append(f"{what}: {body[:200]!r}: {said[:200]!r}")
        answers[str(answer.status)] = answers.get(str(answer.status), 0) + 1
    told.put((answers, faults))


def fault(status: int, said: bytes, wanted: list[float] | bool | None) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if status not in (200, 400):
        return f"status {status}"
    try:
        document = json.loads(said)
    except ValueError:
        return "the answer is no JSON"
    if status == 400:
        if not isinstance(document.get("error"), str) or not document["error"]:
            return "no reason is given"
        return "refused" if isinstance(wanted, list) else ""
    if wanted is False:
        return "taken"
    if isinstance(wanted, list):
        found = document.get("predictions")
        if not isinstance(found, list) or len(found) != len(wanted):
            return "other values"
        if not all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(found, wanted, strict=True)):
            return "other values"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    told: Any = multiprocessing.Queue()
    with server() as port:
        before = small(port, 5.0)
        sending = [
            multiprocessing.Process(
                target=send, args=(port, options.seed * 1000 + each, options.bodies // options.clients, told)
            )
            for each in range(options.clients)
        ]
        began = time.monotonic()
        for each in sending:
            each.start()
        beside = small(port, 20.0)
        found = [told.get(timeout=3600) for _ in sending]
        for each in sending:
            each.join()
        after = small(port, 5.0)
    answers: dict[str, int] = {}
    for counts, _ in found:
        for status, number in counts.items():
            answers[status] = answers.get(status, 0) + number
    faults = [text for _, each in found for text in each]
    result: dict[str, Any] = {
        **about(),
        "bodies": sum(answers.values()),
        "answers": answers,
        "wrong": len(faults),
        "faults": faults[:20],
        "seconds": round(time.monotonic() - began),
        "small requests": {"before": before, "beside": beside, "after": after},
    }
    show(result)
    for text in faults[:20]:
        print("  ", text)
    if options.json:
        write(options.json, result)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
