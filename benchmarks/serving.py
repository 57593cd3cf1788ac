"""Serving, beside what a user would take instead, in one run: CPU time a request, requests a second, latency.

    python benchmarks/serving.py [--seconds 2] [--rounds 3] [--peer PYTHON] [--envoy PROGRAM] [--json FILE]

Servers: one process each, the same SavedModel (28 x 28 bytes, a convolution, a dense layer; made here), one image a
request: this project's server, without and with merging (as ``tiphys serve`` has it), by REST and gRPC, FastAPI with
uvicorn, orjson and NumPy (``--peer``: a Python that has them and TensorFlow), and the model alone, called in a loop.

``tiphys serve``: one replica and its balancer, as the command starts them, of the same model: REST and gRPC. The CPU
time is that of all of it.

Balancers: two replicas of the model server (of the fake model: what is measured is the way, not the model), asked
directly, through the built-in balancer, through HAProxy and Envoy as ``tiphys serve`` drives them, and through a plain
HAProxy, nginx and Envoy, where they are installed.

The ways take turns within one run; the medians of all rounds are told. The CPU time is that of the process that is
measured and its children, for each request: it says more than the rate where the load, the servers and the balancer
share two cores. The load over HTTP comes from ``wrk``, over gRPC from ``h2load``, one call at a time a connection.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, write
from benchmarks.serving_ways import (
    Way,
    built_in,
    driven,
    envoy,
    fastapi,
    free_port,
    haproxy,
    nginx,
    replica,
    served,
)
from tiphys.serving.balancer import EnvoyBalancer, HaproxyBalancer
from tiphys.serving.balancer.envoy import envoy as envoy_program
from tiphys.serving.balancer.haproxy import haproxy as haproxy_program
from tiphys.serving.loading import load
from tiphys.serving.model.servable import Tensor

_PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Sample(NamedTuple):
    rate: float
    p50: float
    p99: float
    errors: int
    cpu: float = 0.0


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its children."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) == pid or int(fields[1]) == pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ---- load
def measure(way: Way, body: bytes, connections: int, seconds: float, folder: Path) -> Sample:
    before = cpu_seconds(way.pid)
    if way.calls:
        sample = _calls(way.address, connections, seconds, folder)
    else:
        sample = _wrk(f"http://{way.address}/v1/models/m:predict", body, connections, seconds, folder)
    return sample._replace(cpu=(cpu_seconds(way.pid) - before) / max(1.0, sample.rate * seconds) * 1e6)


def _wrk(url: str, body: bytes, connections: int, seconds: float, folder: Path) -> Sample:
    (folder / "body").write_bytes(body)
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


def _calls(address: str, connections: int, seconds: float, folder: Path) -> Sample:
    body, log = folder / f"call-{address}", folder / "log"
    if not body.exists():  # h2load does not look at the status of a call: the official client does, once
        subprocess.run([sys.executable, __file__, "--call", address, str(body)], check=True, timeout=120)
    log.unlink(missing_ok=True)
    headers = [f"--header={each}" for each in ("content-type: application/grpc", "te: trailers")]
    command = ["h2load", "-t1", "-m1", f"-c{connections}", f"-D{seconds:g}", *headers, f"--log-file={log}"]
    subprocess.run(
        [*command, "-d", str(body), f"http://{address}{_PREDICT}"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    rows = [line.split() for line in log.read_text().splitlines()]  # when it began, its status, microseconds
    times = sorted(int(row[2]) / 1000 for row in rows)
    errors = sum(row[1] != "200" for row in rows)
    return Sample(len(times) / seconds, times[len(times) // 2], times[int(len(times) * 0.99)], errors)


def _call(address: str, file: Path) -> None:
    """Predict over gRPC once, by the official client, the image as the bytes of a tensor; and write what h2load sends:
    the message behind its length."""
    import grpc
    from tensorflow import make_tensor_proto
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name = "m"
    image = [[(row * column) % 256 for column in range(28)] for row in range(28)]
    request.inputs["images"].CopyFrom(make_tensor_proto([image], dtype="uint8"))
    data = request.SerializeToString()
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(_PREDICT)(data, timeout=60)
    file.write_bytes(b"\0" + len(data).to_bytes(4, "big") + data)


# ---- tables
Table = dict[str, dict[str, float]]


def table(title: str, samples: dict[str, list[Sample]]) -> Table:
    """Print the medians of all rounds, and give them."""
    print(f"\n{title}\n  {'':<24}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>8}{'errors':>8}")
    found: Table = {}
    for name, rounds in samples.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(s, key) for s in rounds) for key in ("rate", "p50", "p99", "cpu")
        )
        errors = sum(sample.errors for sample in rounds)
        print(f"  {name:<24}{rate:>11.0f}{p50:>9.2f}{p99:>9.2f}{cpu:>8.0f}{errors:>8}", flush=True)
        found[name] = {
            "rate": round(rate),
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "cpu_us": round(cpu),
            "errors": errors,
        }
    return found


def in_turns(
    ways: dict[str, Way], body: bytes, options: argparse.Namespace, folder: Path, what: str
) -> dict[str, Table]:
    """Each number of clients: a table."""
    found = {}
    for connections in (1, 8, 32):
        samples: dict[str, list[Sample]] = {name: [] for name in ways}
        for way in ways.values():
            measure(way, body, connections, 1.0, folder)
        for _ in range(options.rounds):
            for name, way in ways.items():
                samples[name].append(measure(way, body, connections, options.seconds, folder))
        found[str(connections)] = table(f"{what}, {connections} clients", samples)
    return found


def markdown(found: dict[str, Any]) -> str:
    """The tables of docs/serving.md, of what is in a file."""
    lines = []
    for part, title in (
        ("servers", "one server, one image a request"),
        ("served", "`tiphys serve`: one replica and its balancer"),
        ("balancers", "two replicas of the fake model"),
    ):
        if part not in found:
            continue
        tables = {count: found[part][count] for count in ("1", "8", "32")}
        lines += [
            f"| {title} | CPU µs: 1 client | 8 | 32 | requests/s: 1 | 8 | 32 |",
            "|---|---|---|---|---|---|---|",
        ]
        for way in tables["1"]:
            cells = [str(table[way][what]) for what in ("cpu_us", "rate") for table in tables.values()]
            lines.append(f"| {way} | {' | '.join(cells)} |")
        if part == "servers":
            lines.append(f"| the model alone, in a loop | {found[part]['bare_us']} | | | | | |")
        lines.append("")
    return "\n".join(lines)


def image_body() -> bytes:
    image = [[(row * column) % 256 for column in range(28)] for row in range(28)]
    return json.dumps({"instances": [image]}).encode()


def balancers(options: argparse.Namespace, folder: Path) -> dict[str, Table]:
    base = folder / "model"
    (base / "1").mkdir(parents=True)
    fake = "--tiphys_loader=tiphys.serving.model.fake:load"
    with contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(replica(base, fake)) for _ in range(2)]
        ways = {"one replica, directly": replicas[0]}
        for policy in ("round-robin", "least-request"):
            ways[f"built in, {policy}"] = stack.enter_context(built_in(replicas, policy, folder))
        if haproxy_program():
            ways["HAProxy, driven"] = stack.enter_context(driven(HaproxyBalancer, replicas))
            ways["HAProxy, plain"] = stack.enter_context(haproxy(replicas, folder))
        if shutil.which("nginx"):
            ways["nginx"] = stack.enter_context(nginx(replicas, folder))
        if envoy_program():
            ways["Envoy, driven"] = stack.enter_context(driven(EnvoyBalancer, replicas))
        if options.envoy:
            ways["Envoy, plain"] = stack.enter_context(envoy(options.envoy, replicas, folder))
        body = image_body().replace(b'{"', b'{"signature_name": "images", "', 1)
        return in_turns(ways, body, options, folder, "balancers, two replicas, one image")


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


def bare(model: Path, seconds: float) -> float:
    """CPU microseconds of one run of the model by itself, in a loop."""
    servable = load(model)
    image = Tensor(
        "DT_UINT8", (1, 28, 28), bytes((row * column) % 256 for row in range(28) for column in range(28))
    )
    for _ in range(100):
        servable.run("serving_default", {"images": image})
    count, until, before = 0, time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < until:
        servable.run("serving_default", {"images": image})
        count += 1
    used = time.process_time() - before
    servable.close()
    return used / count * 1e6


def saved_model(folder: Path) -> Path:
    """Its base path; made by the first that asks."""
    base = folder / "saved"
    if not base.exists():
        subprocess.run([sys.executable, "-c", _EXPORT, str(base / "1")], check=True, capture_output=True)
    return base


def as_served(options: argparse.Namespace, folder: Path) -> dict[str, Table]:
    base = saved_model(folder)
    with contextlib.ExitStack() as stack:
        ways: dict[str, Way] = {}
        for driver in (["haproxy"] if haproxy_program() else []) + ["built-in"]:
            rest, calls = stack.enter_context(served(base, f"--driver={driver}"))
            ways |= {f"REST, {driver}": rest, f"gRPC, {driver}": calls}
        return in_turns(ways, image_body(), options, folder, "tiphys serve, one replica, one image")


def servers(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    base = saved_model(folder)
    port, other = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(replica(base, f"--port={port}"))
        ways = {
            "REST": plain,
            "gRPC": Way(f"127.0.0.1:{port}", plain.pid, True),
        }
        merging = stack.enter_context(replica(base, "--tiphys_batching", f"--port={other}"))
        ways |= {"REST, merging": merging, "gRPC, merging": Way(f"127.0.0.1:{other}", merging.pid, True)}
        if options.peer:
            ways["FastAPI, orjson"] = stack.enter_context(fastapi(options.peer, base / "1"))
        found: dict[str, Any] = in_turns(ways, image_body(), options, folder, "one server, one image")
    found["bare_us"] = round(
        statistics.median(bare(base / "1", options.seconds) for _ in range(options.rounds))
    )
    print(f"\nthe model by itself: {found['bare_us']} us of CPU a run")
    return found


def main() -> None:
    if sys.argv[1:2] == ["--call"]:
        _call(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the medians are told")
    parser.add_argument("--peer", default="", help="a Python with FastAPI, uvicorn, orjson and TensorFlow")
    parser.add_argument(
        "--envoy", default=envoy_program() or "", help="the program of Envoy (default: that which is driven)"
    )
    parser.add_argument("--only", choices=("balancers", "served", "servers"))
    parser.add_argument("--json", type=Path, help="write what was found there")
    parser.add_argument("--table", type=Path, help="print the tables of docs/serving.md of such a file")
    options: Any = parser.parse_args()
    if options.table:
        print(markdown(json.loads(options.table.read_text())))
        return
    if not (shutil.which("wrk") and shutil.which("h2load")):
        raise SystemExit(
            "wrk and h2load are needed: they send the load (Debian: apt install wrk nghttp2-client)"
        )
    found: dict[str, Any] = {**about(), "rounds": options.rounds, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as name:
        if options.only in (None, "servers"):
            found["servers"] = servers(options, Path(name))
        if options.only in (None, "served"):
            found["served"] = as_served(options, Path(name))
        if options.only in (None, "balancers"):
            found["balancers"] = balancers(options, Path(name))
    if options.json:
        write(options.json, found)


if __name__ == "__main__":
    main()
