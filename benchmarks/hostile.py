"""Small requests to a model server, beside clients that send what is dear to read.

Run: python -m benchmarks.hostile [--seconds 5] [--clients 4] [--json benchmarks/results/hostile.json]

The server has the fake model, so what is measured is the server. Each kind of body is sent by ``--clients`` processes
without pause, while this one asks for one small prediction after another.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import about, write

PATH = "/v1/models/m:predict"
SMALL = b'{"instances":[1.0,2.0]}'
HOSTILE: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "malformed at its end, 128 kB": (b'{"instances":[' + b"1.5," * 32_000 + b"]}", {}),
    "10 000 lists in each other": (b'{"instances":[1.0],"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", {}),
    "half a surrogate pair, 124 kB": (b'{"instances":[1.0],"x":"\\ud83d","y":"' + b"a" * 124_000 + b'"}', {}),
    "a text among 60 000 numbers": (b'{"instances":[' + b"1," * 60_000 + b'"x"]}', {}),
    "a million numbers": (b'{"instances":[' + b"1.5," * 999_999 + b"1.5]}", {}),
    "gzip of 100 MB": (gzip.compress(b" " * 100_000_000), {"Content-Encoding": "gzip"}),
}


@contextlib.contextmanager
def server() -> Iterator[int]:
    """A server of the fake model; its port."""
    with tempfile.TemporaryDirectory() as text, socket.socket() as free:
        (Path(text) / "1").mkdir()
        (Path(text) / "1" / "fake.json").write_text("{}")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        words = [f"--rest_api_port={port}", "--port=0", "--tiphys_loader=tiphys.serving.model.fake:load"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tiphys.serving", "--model_name=m", f"--model_base_path={text}", *words],
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait()


def send(port: int, kind: str) -> None:
    """Send one kind of body for ever."""
    body, headers = HOSTILE[kind]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while True:
        try:
            connection.request("POST", PATH, body, headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()


def small(port: int, seconds: float) -> dict[str, Any]:
    """Small requests for some seconds: how long they took, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    took = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        connection.request("POST", PATH, SMALL)
        answer = connection.getresponse()
        if json.loads(answer.read()) != {"predictions": [2.5, 3.0]}:
            raise SystemExit("a wrong answer")
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    return {
        "requests": len(took),
        "median_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[int(len(took) * 0.99)], 1),
        "most_ms": round(took[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found: dict[str, Any] = {}
    for kind in HOSTILE:
        with server() as port:
            clients = [
                multiprocessing.Process(target=send, args=(port, kind), daemon=True)
                for _ in range(chosen.clients if kind != "nothing" else 0)
            ]
            for each in clients:
                each.start()
            time.sleep(1)
            found[kind] = small(port, chosen.seconds)
            for each in clients:
                each.kill()
                each.join()
        print(f"{kind:32} {json.dumps(found[kind])}", flush=True)
    if chosen.json:
        write(chosen.json, {**about(), "clients": chosen.clients, "beside": found})


if __name__ == "__main__":
    main()
