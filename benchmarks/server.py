"""What `tiphys server` costs: lists of many runs, watches with many listeners, submissions, and runs beside it.

Run: python -m benchmarks.server [--runs 10000] [--listeners 500] [--json benchmarks/results/server.json]

One run is really made, the others are its folder under other names. Times are the client's, of a connection that stays
open, without TLS. Beside the lists stands a bare Starlette route that returns the same bytes: no server
of its kind can be faster.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.listing import FLOW, fill
from benchmarks.results import about, write
from tiphys.argo.types import Workflow
from tiphys.engine import Run, RunOptions
from tiphys.store import Store

_BEGUN = 5.0  # seconds after which a server has imported what it needs
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows"
OF_A_PHASE = "labelSelector=workflows.argoproj.io%2Fphase%3DSucceeded"
PEER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
files = {name: open(f"{sys.argv[1]}/{name}", "rb").read() for name in sys.argv[2:]}
async def answer(request):
    return Response(files[request.path_params["name"]], media_type="application/json")
uvicorn.run(Starlette(routes=[Route("/{name}", answer)]), port=int(sys.argv[1].rpartition("-")[2]), log_config=None)
"""


class Server:
    """A server that answers: where, and by which token."""

    def __init__(self, store: Path) -> None:
        words = ["server", "--store", str(store), "--port", "0", "--image", "*=host", "--insecure"]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tiphys", *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rstrip().rpartition(":")[2])
        self.process.stdout.readline()
        self.seconds = time.perf_counter() - began
        file = json.loads((store / "server" / "kubeconfig").read_text())
        self.headers = {"Authorization": f"Bearer {file['users'][0]['user']['token']}"}

    def memory(self) -> int:
        """MiB that are resident now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) >> 10

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def ask(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str], body: bytes = b""
) -> bytes:
    connection.request("POST" if body else "GET", path, body or None, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status not in (200, 201):
        raise SystemExit(f"{path}: {answer.status} {data[:500]!r}")
    return data


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"median_ms": round(statistics.median(ordered) * 1e3, 1), "p99_ms": round(last * 1e3, 1)}


def timed(one: Callable[[], object], times: int) -> dict[str, float]:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        one()
        found.append(time.perf_counter() - began)
    return spread(found)


# -- lists --------------------------------------------------------------------------------------------------------


def lists(server: Server, runs: int) -> dict[str, Any]:
    """Each list, and the same bytes from a bare route."""
    found: dict[str, Any] = {}
    kinds = {
        "page of 50": (f"{WORKFLOWS}?limit=50", 200),
        "page of 50 of a phase": (f"{WORKFLOWS}?limit=50&{OF_A_PHASE}", 200),
        "one": (f"{WORKFLOWS}/run-00000", 200),
        "all": (WORKFLOWS, 5),
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    answers = {kind: ask(connection, path, server.headers) for kind, (path, _) in kinds.items()}
    if len(json.loads(answers["all"])["items"]) != runs:
        raise SystemExit("the list of all has not all")
    with peer({kind.replace(" ", "-"): data for kind, data in answers.items()}) as port:
        for kind, (path, times) in kinds.items():
            connection.close()  # one that was idle for long is closed
            other = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            here = timed(functools.partial(ask, connection, path, server.headers), times)
            bare = timed(functools.partial(ask, other, "/" + kind.replace(" ", "-"), {}), times)
            found[kind] = {**here, "bare_p99_ms": bare["p99_ms"], "bytes": len(answers[kind])}
    return found


@contextlib.contextmanager
def peer(answers: dict[str, bytes]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(suffix=f"-{port}") as folder:
        for name, data in answers.items():
            (Path(folder) / name).write_bytes(data)
        process = subprocess.Popen([sys.executable, "-c", PEER, folder, *answers])
        try:
            until = time.monotonic() + 30
            while True:
                try:
                    ask(http.client.HTTPConnection("127.0.0.1", port), f"/{next(iter(answers))}", {})
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait()


# -- watches ------------------------------------------------------------------------------------------------------


async def listen(
    server: Server,
    number: str,
    wanted: Callable[[dict[str, Any]], str | None],
    heard: dict[str, float],
    most: int,
) -> None:
    """Follow the Workflows after ``number``, until ``most`` keys that ``wanted`` makes of events were heard."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 24)
    path = f"{WORKFLOWS}?watch=true&resourceVersion={number}"
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: {server.headers['Authorization']}",
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    while len(heard) < most:
        line = await reader.readline()  # each change is a chunk of its own, after a line with its length
        if line.startswith(b"{"):
            now = time.time()
            if (key := wanted(json.loads(line))) is not None:
                heard.setdefault(key, now)
    writer.close()


def many(server: Server, store: Store, listeners: int, changes: int) -> dict[str, Any]:
    """Runs appear one after another: what each listener heard, and how long after."""
    prepared = []
    source = store.run("run-00000")
    for number in range(changes):
        name = f"late-{number:04d}"  # as long as the other name, which stands in binary files
        aside = store.root / f"aside-{name}"
        aside.mkdir()
        for each in ("workflow.json", "journal.db", "began"):
            (aside / each).write_bytes((source / each).read_bytes().replace(b"run-00000", name.encode()))
        prepared.append((aside, store.root / "runs" / name))
    made: dict[str, float] = {}

    def appeared(event: dict[str, Any]) -> str | None:
        name = event["object"]["metadata"]["name"]
        return name if event["type"] == "ADDED" and name.startswith("late-") else None

    async def run() -> list[dict[str, float]]:
        heard: list[dict[str, float]] = [{} for _ in range(listeners)]
        number = number_of(server)
        waiting = [asyncio.create_task(listen(server, number, appeared, each, changes)) for each in heard]
        await asyncio.sleep(5)
        for aside, place in prepared:
            made[place.name] = time.time()
            os.rename(aside, place)
            await asyncio.sleep(1.5)
        await asyncio.wait(waiting, timeout=30)
        for task in waiting:
            task.cancel()
        return heard

    heard = asyncio.run(run())
    late = [at - made[name] for each in heard for name, at in each.items()]
    lost = listeners * changes - len(late)
    return {
        "listeners": listeners,
        "changes": changes,
        "lost": lost,
        **spread(late),
        "resident_mib": server.memory(),
    }


def number_of(server: Server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    return str(
        json.loads(ask(connection, f"{WORKFLOWS}?limit=1", server.headers))["metadata"]["resourceVersion"]
    )


def flow(name: str, steps: int, body: str) -> Workflow:
    """Steps one after another."""
    found = json.loads(json.dumps(FLOW))
    found["metadata"] = {"name": name}
    script = found["spec"]["templates"][0]["script"]
    found["spec"]["templates"] = [
        {"name": "main", "steps": [[{"name": f"s{number}", "template": "say"}] for number in range(steps)]},
        {"name": "say", "script": {**script, "source": body}},
    ]
    return found  # type: ignore[no-any-return]


def node_changes(server: Server, store: Store) -> dict[str, Any]:
    """From the last word of a step's body to the event that shows its end: with what the engine does in between."""
    name, steps = "timed", 40
    heard: dict[str, float] = {}

    def ended(event: dict[str, Any]) -> str | None:
        for node in ((event["object"].get("status") or {}).get("nodes") or {}).values():
            pod = event["object"]["metadata"]["name"] == name and node["type"] == "Pod"
            if pod and node["phase"] == "Succeeded":
                heard.setdefault(node["id"], time.time())
        return None

    async def run() -> None:
        task = asyncio.create_task(listen(server, number_of(server), ended, {}, 1))
        await asyncio.sleep(0.5)
        options = RunOptions(store=store.root, images={"*": "host"}, handle_signals=False)
        await asyncio.to_thread(Run(flow(name, steps, "sleep 0.1; date +%s.%N"), options=options).execute)
        until = time.monotonic() + 10
        while len(heard) < steps and time.monotonic() < until:
            await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(run())
    logs = store.run(name) / "logs"
    late = [at - float((logs / f"{node}.log").read_text().split()[-1]) for node, at in heard.items()]
    return {"nodes": steps, "lost": steps - len(heard), **spread(late)}


# -- submissions and runs -------------------------------------------------------------------------------------------


def submissions(server: Server, times: int = 100) -> dict[str, Any]:
    """From the request to the answer, and from the answer to the run's end as its file says it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {**server.headers, "Content-Type": "application/json"}
    accepted, ended = [], []
    for _ in range(times):
        body = json.dumps({**FLOW, "metadata": {"generateName": "sent-"}}).encode()
        began = time.perf_counter()
        name = json.loads(ask(connection, WORKFLOWS, headers, body))["metadata"]["name"]
        answered = time.perf_counter()
        accepted.append(answered - began)
        while True:
            found = json.loads(ask(connection, f"{WORKFLOWS}/{name}", server.headers))
            if found["status"].get("finishedAt"):
                break
            time.sleep(0.01)
        ended.append(time.perf_counter() - answered)
    return {"answered": spread(accepted), "ended_after_the_answer": spread(ended)}


def beside(store: Store, steps: int = 60, rounds: int = 16) -> dict[str, Any]:
    """A run's wall and CPU seconds a node, with a server on its store and without, in turns. The server has begun
    before: what it imports then, on the other core, costs the run's own cache."""
    runs = iter(range(1000))

    def once() -> tuple[float, float]:
        options = RunOptions(store=store.root, images={"*": "host"}, handle_signals=False)
        run = Run(flow(f"beside-{next(runs)}", steps, "true"), options=options)
        began, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        run.execute()
        now = resource.getrusage(resource.RUSAGE_SELF)
        used = now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime
        return (time.perf_counter() - began) / steps, used / steps

    alone, watched = [], []
    once()
    for _ in range(rounds):
        alone.append(once())
        server = Server(store.root)
        time.sleep(_BEGUN)
        watched.append(once())
        server.close()
    wall, cpu = ([statistics.median(pair[k] for pair in kind) for kind in (alone, watched)] for k in (0, 1))
    return {
        "wall_ms_a_node": [round(each * 1e3, 2) for each in wall],
        "cpu_ms_a_node": [round(each * 1e3, 2) for each in cpu],
        "cpu_more_percent": round((cpu[1] / cpu[0] - 1) * 100, 1),
    }


def shown(value: dict[str, Any], name: str, found: object) -> None:
    """Keep it, and show it at once: all takes minutes."""
    value[name] = found
    print(name, json.dumps(found, indent=1), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as text:
        store = Store(Path(text) / "store")
        Run(FLOW, options=RunOptions(store=store.root, images={"*": "host"}, handle_signals=False)).execute()
        fill(store, 1, chosen.runs)
        value: dict[str, Any] = {**about(), "runs": chosen.runs}
        server = Server(store.root)
        try:
            value["begins_s"] = round(server.seconds, 2)
            shown(value, "lists", lists(server, chosen.runs))
            shown(value, "submissions", submissions(server))
            shown(value, "node_changes", node_changes(server, store))
        finally:
            server.close()
        server = Server(store.root)
        try:
            shown(value, "watches", many(server, store, chosen.listeners, chosen.changes))
        finally:
            server.close()
        small = Store(Path(text) / "small")
        shown(value, "beside", beside(small))
    if chosen.json:
        write(chosen.json, value)


if __name__ == "__main__":
    main()
