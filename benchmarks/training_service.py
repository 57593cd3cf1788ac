"""The training service under load and under kill -9: what it promises, as numbers.

    python benchmarks/training_service.py [--jobs 1000] [--kills 100] [--only PART] [--json FILE]

durable    ``Train`` over gRPC, each on the disk before its answer: calls a second of one client and of sixteen
kills      the service is killed with SIGKILL and started again, at random moments, while clients (retries on) queue
           jobs and ask for them; each job writes its number into a file: jobs that were answered and are not there,
           that ran twice, and calls that failed for the caller
fair       in one pool A queues 100 jobs, then B and C one each: how many of A's began between B's coming and B's start,
           where two fit at once
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tiphys.errors import TrainingServiceError
from tiphys.training.client import TrainingClient
from tiphys.training.job import Algorithm, JobState
from tiphys.training.pools import digest_of

PORT = 26823
_MANY = 100  # jobs of who asks for many


class Service:
    """The process, which can be killed."""

    def __init__(self, store: Path, port: int) -> None:
        self.store, self.port = store, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.store / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tiphys", "training-service", "--store", str(self.store), "--image", "*=host",
                 "--port", str(self.port), "--rest-port", str(self.port + 1)],
                stdout=log, stderr=log, start_new_session=True, cwd=self.store,
            )  # fmt: skip

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()

    def client(self, token: str = "") -> TrainingClient:
        return TrainingClient(f"127.0.0.1:{self.port}", token=token, retry=60)


@contextlib.contextmanager
def service(rules: str) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        (Path(folder) / "training.toml").write_text(rules)
        found = Service(Path(folder), PORT)
        found.start()
        try:
            yield found
        finally:
            found.kill(signal.SIGTERM)


def durable(seconds: float = 5.0) -> dict[str, float]:
    with service("[pools.default]\njobs = 1\n") as found:
        with found.client() as client:
            client.create_algorithm(Algorithm("wait", image="x", command=("sleep", "3600")))
            first = client.train("wait")
            while client.status(first.id).state is not JobState.running:
                time.sleep(0.1)
        rates = {}
        for clients in (1, 16):
            counts = [0] * clients
            end = time.monotonic() + seconds

            def ask(index: int, end: float = end, counts: list[int] = counts) -> None:
                with found.client() as client:
                    while time.monotonic() < end:
                        client.train("wait")
                        counts[index] += 1

            together(ask, clients)
            rates[f"train_per_second_{clients}"] = round(sum(counts) / seconds, 1)
        with found.client() as client:
            client.cancel(first.id)
            client.wait(first.id, timeout=60)
    return rates


def together(call: object, count: int) -> None:
    threads = [threading.Thread(target=call, args=(index,)) for index in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kills(jobs: int, count: int, pause: tuple[float, float]) -> dict[str, float]:
    with service("[pools.default]\njobs = 4\n") as found:
        file = found.store / "volumes" / "tiphys" / "work" / "ran"  # above the folders of each job
        with found.client() as client:
            client.create_algorithm(
                Algorithm(
                    "mark",
                    image="x",
                    command=("sh", "-c", "echo $TIPHYS_JOB_ID >> $TIPHYS_WORK_DIR/../../ran"),
                )
            )
        answered: list[int] = []
        calls = collections.Counter[str]()
        lock, over = threading.Lock(), threading.Event()
        slowest = [0.0]

        def asked(what: str, call: object) -> object:
            began = time.monotonic()
            try:
                result = call()  # type: ignore[operator]
            except TrainingServiceError as error:
                with lock:
                    calls["failed"] += 1
                print(f"  {what}: {error}", file=sys.stderr)
                return None
            with lock:
                calls["answered"] += 1
                slowest[0] = max(slowest[0], time.monotonic() - began)
            return result

        def queue(index: int) -> None:
            with found.client() as client:
                for number in range(index, jobs, 2):
                    job = asked("train", lambda number=number: client.train("mark", request_id=f"r{number}"))
                    if job is not None:
                        with lock:
                            answered.append(job.id)  # type: ignore[attr-defined]

        def look(index: int) -> None:
            with found.client() as client:
                while not over.is_set():
                    if answered:
                        chosen = random.choice(answered)
                        asked("status", lambda chosen=chosen: client.status(chosen))
                    time.sleep(0.005)

        threads = [threading.Thread(target=queue, args=(index,)) for index in range(2)]
        threads += [threading.Thread(target=look, args=(index,)) for index in range(2)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        done = 0
        with found.client() as client:
            while True:
                time.sleep(random.uniform(*pause))
                if done < count:
                    found.kill()
                    found.start()
                    done += 1
                left = client.list(states=[JobState.queuing, JobState.launch, JobState.running], limit=1)
                if not left and len(answered) == jobs and done >= count:
                    break
            states = collections.Counter(
                client.status(number).state.name for number in range(1, max(answered) + 1)
            )
        over.set()
        for thread in threads:
            thread.join()
        ran = collections.Counter(file.read_text().split())
        total = calls["answered"] + calls["failed"]
        return {
            "jobs": jobs,
            "kills": done,
            "seconds": round(time.monotonic() - began, 1),
            "lost": sum(str(number) not in ran for number in answered),
            "ran_twice": sum(number > 1 for number in ran.values()),
            "queued_twice": max(answered) - jobs,
            "not_succeeded": sum(states.values()) - states["succeed"],
            "calls": total,
            "calls_failed": calls["failed"],
            "availability": round(calls["answered"] / total, 6),
            "slowest_call_seconds": round(slowest[0], 2),
        }


def fair() -> dict[str, float]:
    users = {name: f"token-of-{name}" for name in "abc"}
    rules = "[pools.shared]\njobs = 2\n" + "".join(
        f'[users.{name}]\npools = ["shared"]\ntoken = "{digest_of(token)}"\n' for name, token in users.items()
    )
    with service(rules) as found, found.client(users["a"]) as client:
        client.create_algorithm(Algorithm("short", image="x", command=("sleep", "0.5")))
        for _ in range(_MANY):
            client.train("short")
        while client.status(4).state is JobState.queuing:
            time.sleep(0.05)
        others = []
        for name in "bc":
            with found.client(users[name]) as other:
                others.append(other.train("short"))
        ends = [client.wait(job.id, timeout=300) for job in others]
        everything = client.list(limit=1000)
        result: dict[str, float] = {"jobs_of_a": _MANY}
        for name, job in zip("bc", ends, strict=True):
            between = [
                each for each in everything if each.user == "a" and job.created < each.launched < job.launched
            ]
            lengths = [each.ended - each.launched for each in everything if each.ended and each.launched]
            result[f"of_a_before_{name}"] = len(between)
            result[f"waited_{name}_in_job_lengths"] = round(
                (job.launched - job.created) / (sum(lengths) / len(lengths)), 2
            )
        for each in everything:
            client.cancel(each.id)
        for each in everything:
            client.wait(each.id, timeout=60)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 8.0), help="seconds between two kills")
    parser.add_argument("--only", choices=("durable", "kills", "fair"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["GRPC_VERBOSITY"] = "NONE"
    parts = {
        "durable": durable,
        "fair": fair,
        "kills": lambda: kills(options.jobs, options.kills, tuple(options.pause)),
    }
    for name, part in parts.items():
        if options.only not in (None, name):
            continue
        found = {**part(), **about()}
        print(name)
        show(found)
        if options.json:  # each part is of its own day
            before = json.loads(options.json.read_text()) if options.json.exists() else {}
            write(options.json, {**before, name: found})


if __name__ == "__main__":
    main()
