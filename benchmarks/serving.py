"""Serving: requests a second and latency, beside HAProxy and nginx where they are installed.

    python benchmarks/serving.py [--seconds 2] [--rounds 3] [--model MODEL_BASE_PATH]

Balancers: two replicas of the model server (of the fake model: what is measured is the way, not the
model), asked directly, through this project's balancer, HAProxy and nginx, in turns within one run. The CPU
time is that of the balancer's own process for each request (of the replica, when asked directly): it says
more than the rate where the load, the replicas and the balancer share a few cores.

Batching: one replica of a real SavedModel (``--model``, or a small one made here when TensorFlow is
installed), with and without batching.

The load comes from ``wrk`` when it is installed, otherwise from a client in Python that is slower than what
it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tiphys.serving import BalancerProcess, ServingClient


class Sample(NamedTuple):
    rate: float
    p50: float
    p99: float
    errors: int
    cpu: float = 0.0


class Way(NamedTuple):
    """An address to ask, and the process whose CPU time counts."""

    address: str
    pid: int


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its children."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) == pid or int(fields[1]) == pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- load
def measure(way: Way, body: bytes, connections: int, seconds: float, folder: Path) -> Sample:
    url = f"http://{way.address}/v1/models/m:predict"
    before = cpu_seconds(way.pid)
    sample = _load(url, body, connections, seconds, folder)
    return sample._replace(cpu=(cpu_seconds(way.pid) - before) / max(1.0, sample.rate * seconds) * 1e6)


def _load(url: str, body: bytes, connections: int, seconds: float, folder: Path) -> Sample:
    (folder / "body").write_bytes(body)
    if shutil.which("wrk"):
        return _wrk(url, connections, seconds, folder)
    command = [
        sys.executable,
        __file__,
        "--client",
        url,
        str(folder / "body"),
        str(connections),
        str(seconds),
    ]
    return Sample(*json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def _wrk(url: str, connections: int, seconds: float, folder: Path) -> Sample:
    script = folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\nlocal f = io.open("%s", "rb")\nwrk.body = f:read("*a")\nf:close()\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        "done = function(summary, latency, requests)\n"
        "  local e = summary.errors\n"
        '  io.write(string.format("RESULT %%f %%f %%f %%d\\n", summary.requests / summary.duration * 1e6,\n'
        "    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,\n"
        "    e.connect + e.read + e.write + e.status + e.timeout))\nend\n" % (folder / "body")
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+)", output)
    assert match is not None, output
    return Sample(float(match[1]), float(match[2]), float(match[3]), int(match[4]))


async def _client(url: str, path: Path, connections: int, seconds: float) -> Sample:
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, target = rest.partition("/")
    body = path.read_bytes()
    request = (
        f"POST /{target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    times: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < end:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            match = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(match[1]) if match else 0)
            times.append((time.perf_counter() - started) * 1000)
            errors += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    times.sort()
    return Sample(len(times) / seconds, times[len(times) // 2], times[int(len(times) * 0.99)], errors)


# ---- what is measured
@contextlib.contextmanager
def replica(base: Path, *flags: str) -> Iterator[Way]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "tiphys.serving",
        "--model_name=m",
        f"--model_base_path={base}",
        "--port=0",
    ]
    process = subprocess.Popen(
        [*command, f"--rest_api_port={port}", *flags],
        env={**os.environ, "TIPHYS_POD_IP": "127.0.0.1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        with ServingClient(f"http://127.0.0.1:{port}", "m") as client:
            client.wait_ready(120)
        yield Way(f"127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def tiphys(replicas: list[Way], policy: str, folder: Path) -> Iterator[Way]:
    process = BalancerProcess.start(folder / f"{policy}.sock")
    try:
        port = process.apply(
            "b",
            host="127.0.0.1",
            port=0,
            endpoints=[way.address for way in replicas],
            policy=policy,
            health_path="/v1/models/m",
        )
        yield Way(f"127.0.0.1:{port}", process.pid)
    finally:
        process.stop()


@contextlib.contextmanager
def daemon(command: list[str], port: int) -> Iterator[Way]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield Way(f"127.0.0.1:{port}", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def haproxy(replicas: list[Way], folder: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()
    servers = "\n".join(f"  server s{i} {address} check inter 2s" for i, (address, _) in enumerate(replicas))
    (folder / "haproxy.cfg").write_text(
        f"global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n"
        f"  timeout connect 2s\n  option redispatch\n  retries 2\n"
        f"listen b\n  bind 127.0.0.1:{port}\n  balance roundrobin\n{servers}\n"
    )
    return daemon(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], port)


def nginx(replicas: list[Way], folder: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()
    servers = " ".join(f"server {address};" for address, _ in replicas)
    temporary = "".join(
        f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} client_max_body_size 128m;\n"
        f"upstream b {{ {servers} keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://b; proxy_http_version 1.1;\n"
        f'proxy_set_header Connection ""; proxy_next_upstream error timeout non_idempotent; }} }} }}\n'
    )
    return daemon(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port)


# ---- tables
def table(title: str, samples: dict[str, list[Sample]], first: str) -> None:
    print(f"\n{title}")
    print(
        f"  {'':<24}{'requests/s':>11}{'of ' + first:>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>8}{'errors':>8}"
    )
    base = statistics.median(sample.rate for sample in samples[first])
    for name, rounds in samples.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(s, key) for s in rounds) for key in ("rate", "p50", "p99", "cpu")
        )
        errors = sum(sample.errors for sample in rounds)
        print(f"  {name:<24}{rate:>11.0f}{rate / base:>12.2f}{p50:>9.2f}{p99:>9.2f}{cpu:>8.0f}{errors:>8}")


def image_body(count: int) -> bytes:
    image = [[(row * column) % 256 for column in range(28)] for row in range(28)]
    return json.dumps({"signature_name": "images", "instances": [image] * count}).encode()


def balancers(options: argparse.Namespace, folder: Path) -> None:
    base = folder / "model"
    (base / "1").mkdir(parents=True)
    fake = "--tiphys_loader=tiphys.serving.model.fake:load"
    with contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(replica(base, fake)) for _ in range(2)]
        ways = {
            "direct (1 replica)": replicas[0],
            "tiphys round-robin": stack.enter_context(tiphys(replicas, "round-robin", folder)),
            "tiphys least-request": stack.enter_context(tiphys(replicas, "least-request", folder)),
        }
        if shutil.which("haproxy"):
            ways["haproxy"] = stack.enter_context(haproxy(replicas, folder))
        if shutil.which("nginx"):
            ways["nginx"] = stack.enter_context(nginx(replicas, folder))
        for title, body, connections in (
            ("one number, 1 connection", b'{"instances": [1.0]}', 1),
            ("one number, 32 connections", b'{"instances": [1.0]}', 32),
            ("one image, 32 connections", image_body(1), 32),
        ):
            samples: dict[str, list[Sample]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, way in ways.items():
                    samples[name].append(measure(way, body, connections, options.seconds, folder))
            table(f"balancer, two replicas, {title}", samples, "direct (1 replica)")


_EXPORT = """
import sys, tensorflow as tf
class Model(tf.Module):
    def __init__(self):
        self.kernel = tf.Variable(tf.random.stateless_normal((3, 3, 1, 32), (1, 2)))
        self.weights = tf.Variable(tf.random.stateless_normal((13 * 13 * 32, 10), (3, 4)))
    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8, name="images")])
    def __call__(self, images):
        x = tf.cast(images[..., None], tf.float32) / 255.0
        x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "VALID")), 2, 2, "VALID")
        return {"probabilities": tf.nn.softmax(tf.reshape(x, [-1, 13 * 13 * 32]) @ self.weights)}
model = Model()
tf.saved_model.save(model, sys.argv[1], signatures={"serving_default": model.__call__})
"""


def batching(options: argparse.Namespace, folder: Path) -> None:
    base = Path(options.model) if options.model else folder / "saved"
    if importlib.util.find_spec("tensorflow") is None:
        print("\nbatching: not measured (TensorFlow is not installed)")
        return
    if not options.model:
        subprocess.run([sys.executable, "-c", _EXPORT, str(base / "1")], check=True, capture_output=True)
    body = image_body(1).replace(b'"signature_name": "images", ', b"")
    parameters = folder / "batching.config"
    parameters.write_text(
        "max_batch_size { value: 32 } num_batch_threads { value: 2 } max_enqueued_batches { value: 100 }"
    )
    flags = {
        "batching off": (),
        "batching on": ("--enable_batching", f"--batching_parameters_file={parameters}"),
    }
    with contextlib.ExitStack() as stack:
        ways = {name: stack.enter_context(replica(base, *given)) for name, given in flags.items()}
        for connections in (1, 32):
            samples: dict[str, list[Sample]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, way in ways.items():
                    samples[name].append(measure(way, body, connections, options.seconds, folder))
            table(f"one replica, SavedModel, one image, {connections} connections", samples, "batching off")


def main() -> None:
    if sys.argv[1:2] == ["--client"]:
        url, path, connections, seconds = sys.argv[2:]
        print(json.dumps(asyncio.run(_client(url, Path(path), int(connections), float(seconds)))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the median is shown")
    parser.add_argument("--model", default="", help="base path of a SavedModel with images as input")
    parser.add_argument("--only", choices=("balancers", "batching"))
    options: Any = parser.parse_args()
    load = "wrk" if shutil.which("wrk") else "Python"
    print(
        f"{os.cpu_count()} CPUs, load by {load}, median of {options.rounds} rounds of {options.seconds:g} s"
    )
    with tempfile.TemporaryDirectory() as name:
        if options.only in (None, "balancers"):
            balancers(options, Path(name))
        if options.only in (None, "batching"):
            batching(options, Path(name))


if __name__ == "__main__":
    main()
