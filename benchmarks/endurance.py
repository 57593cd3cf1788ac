"""Endurance of ``tiphys serve``: a million requests while replicas are killed and versions change.

    python benchmarks/endurance.py [--requests 1000000] [--replicas 3] [--clients 6] [--driver auto] [--json FILE]

Half of them ask a folder of versions, to which a new one is added every few seconds: no client may see an old answer
after a new one. The other half ask a model of the registry, whose alias is moved and rolled back, and whose requests
are parted by weights that move: each answer is one that a version gives. All the time a replica that is ready is killed
(SIGKILL) every few seconds, never the last one.

The model is the fake one: it answers with the number of its version. Told are requests that failed, answers that were
mixed, the deaths, the changes, latencies, and the memory of what balances, at first and at last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tiphys.errors import RefusedError
from tiphys.reference import seal
from tiphys.runs.registry import Registry
from tiphys.runs.served import Followed
from tiphys.serving import LocalServing, serve
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.store import Store

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"
PERIOD = 3.0  # seconds between two deaths, and between two changes
_VALUE = re.compile(rb'"predictions": \[\s*([0-9.]+)')


def ask(port: int, count: Any, over: Any, ordered: bool, known: Any, told: Any) -> None:
    """One client on one connection, until ``over``. Tells how many it asked, what failed or was mixed, latencies."""
    body = b'{"instances": [0.0]}'
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    asked, failed, mixed, last = 0, list[str](), list[str](), 0
    took: list[float] = []
    channel = socket.create_connection(("127.0.0.1", port), 60)
    while not over.is_set():
        began = time.perf_counter()
        try:
            channel.sendall(request)
            answer = b""
            while (head := answer.find(b"\r\n\r\n")) < 0 or len(answer) < head + 4 + _length(answer):
                part = channel.recv(65536)
                if not part:
                    raise OSError("the connection was closed")
                answer += part
        except OSError as error:
            failed.append(repr(error))
            channel.close()
            channel = socket.create_connection(("127.0.0.1", port), 60)
            continue
        finally:
            asked += 1
            took.append(time.perf_counter() - began)
        found = _VALUE.search(answer)
        if not answer.startswith(b"HTTP/1.1 200") or found is None:
            failed.append(answer[:300].decode("latin-1"))
            continue
        value = float(found[1])
        if value != int(value) or not 1 <= value <= known.value or (ordered and value < last):
            mixed.append(f"{value} after {last} of {known.value}")
        last = int(value)
        if asked % 100 == 0:
            with count.get_lock():
                count.value += 100
    channel.close()
    took.sort()
    at = [round(took[int(len(took) * part)] * 1e3, 1) for part in (0.5, 0.99, 0.999)] + [
        round(took[-1] * 1e3, 1)
    ]
    told.put((asked, failed[:5], len(failed), mixed[:5], len(mixed), at))


def _length(answer: bytes) -> int:
    found = re.search(rb"(?i)content-length: (\d+)", answer)
    return int(found[1]) if found else 0


def memory(pid: int) -> int:
    """MiB that a process has to itself and shares."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024
    return 0


def put(folder: Path, number: int) -> None:
    """A version that answers with its number, put there in one step."""
    made = folder.parent / f"making-{number}"
    made.mkdir(parents=True)
    (made / "fake.json").write_text(json.dumps({"offset": float(number)}))
    folder.mkdir(exist_ok=True)
    made.rename(folder / str(number))


class Run:
    """Clients, deaths and changes until so many requests were made."""

    def __init__(self, requests: int, clients: int, rng: random.Random) -> None:
        self.requests, self.clients, self.rng = requests, clients, rng
        self.known = multiprocessing.Value("i", 1)

    def __call__(self, serving: LocalServing, change: Callable[[], str], ordered: bool) -> dict[str, Any]:
        count, over, told = multiprocessing.Value("q", 0), multiprocessing.Event(), multiprocessing.Queue()
        port = int(serving.url.rpartition(":")[2])
        asking = [
            multiprocessing.Process(target=ask, args=(port, count, over, ordered, self.known, told))
            for _ in range(self.clients)
        ]
        for each in asking:
            each.start()
        began, deaths, changes = time.monotonic(), 0, dict[str, int]()
        memories: list[int] = []
        while count.value < self.requests:
            time.sleep(PERIOD)
            ready = [each for each in serving.stats()["endpoints"] if each["state"] == "healthy"]
            memories.append(memory(os.getpid()) + memory(getattr(serving._balancer, "pid", 0)))
            if len(ready) > 1 and len(serving.pids()) == len(ready):
                os.kill(self.rng.choice(serving.pids()), signal.SIGKILL)
                deaths += 1
            what = change()
            changes[what] = changes.get(what, 0) + 1
            if len(memories) % 20 == 0:
                print(f"  {count.value} requests, {deaths} deaths, {changes}", flush=True)
        seconds = time.monotonic() - began
        over.set()
        found = [told.get(timeout=120) for _ in asking]
        for each in asking:
            each.join()
        settled = memories[len(memories) // 10 :] or memories
        return {
            "requests": sum(each[0] for each in found),
            "failed": sum(each[2] for each in found),
            "mixed": sum(each[4] for each in found),
            "deaths": deaths,
            "changes": changes,
            "seconds": round(seconds),
            "median_ms": max(each[5][0] for each in found),
            "p99_ms": max(each[5][1] for each in found),
            "p999_ms": max(each[5][2] for each in found),
            "most_ms": max(each[5][3] for each in found),
            "memory_mib": {"at first": settled[0], "at last": settled[-1]},
            "faults": [text for each in found for text in (*each[1], *each[3])][:10],
        }


def versions(run: Run, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    base = folder / "m"
    put(base, 1)
    number = 1

    def change() -> str:
        nonlocal number
        number += 1
        run.known.value = number
        put(base, number)
        return "versions"

    with serve(base, "m", port=0, replicas=options.replicas, driver=options.driver, flags=[FAKE]) as serving:
        return run(serving, change, ordered=True)


def registry(run: Run, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    store = Store(folder / "store")
    made = Registry(store.root)
    for number in (1, 2, 3):
        at = store.volume("tiphys") / "models" / f"v{number}" / "1"
        at.mkdir(parents=True)
        (at / "fake.json").write_text(json.dumps({"offset": float(number)}))
        seal(at.parent)
        made.register("m", f"pvc://tiphys/models/v{number}")
        made.alias("m", "champion", number)
    run.known.value = 3

    def change() -> str:
        what = run.rng.choice(("moved", "rolled back", "weights"))
        if what == "moved":
            made.weights("m", {})
            made.alias("m", "champion", run.rng.choice((1, 2, 3)))
        elif what == "rolled back":
            made.weights("m", {})
            try:
                made.rollback("m", "champion")
            except RefusedError:  # it was back already
                what = "nothing to roll back to"
        else:
            part = run.rng.choice((1, 10, 50, 90))
            one, other = run.rng.sample((1, 2, 3), 2)
            made.weights("m", {one: part, other: 100 - part})
        return what

    source = Followed(store, "m")
    with serve(
        source.folder,
        "m",
        port=0,
        replicas=options.replicas,
        driver=options.driver,
        flags=[FAKE],
        source=source,
    ) as serving:
        return run(serving, change, ordered=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--driver", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {
        **about(),
        "balanced_by": options.driver,
        "replicas": options.replicas,
        "clients": options.clients,
    }
    for name, work in (("folder", versions), ("registry", registry)):
        with tempfile.TemporaryDirectory(prefix="tiphys-endurance-") as temporary:
            run = Run(options.requests // 2, options.clients, random.Random(options.seed))
            if options.driver == "auto":
                found["balanced_by"] = "HAProxy" if haproxy() else "what is built in"
            found[name] = work(run, options, Path(temporary))
        print(name)
        show(found[name])
        for fault in found[name]["faults"]:
            print("  ", fault)
    if options.json:
        write(options.json, found)
    return int(any(found[name]["failed"] or found[name]["mixed"] for name in ("folder", "registry")))


if __name__ == "__main__":
    sys.exit(main())
