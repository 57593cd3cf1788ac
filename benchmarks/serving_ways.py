"""What benchmarks/serving.py asks: this project's servers and balancers, and what a user would take instead."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tiphys.serving import BalancerProcess, ServingClient
from tiphys.serving.balancer import EnvoyBalancer, HaproxyBalancer
from tiphys.serving.balancer.pin import VersionPin


class Way(NamedTuple):
    """An address to ask, and the process whose CPU time counts."""

    address: str
    pid: int
    calls: bool = False  # gRPC


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
def built_in(replicas: list[Way], policy: str, folder: Path) -> Iterator[Way]:
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
def driven(kind: type[HaproxyBalancer | EnvoyBalancer], replicas: list[Way]) -> Iterator[Way]:
    """As ``tiphys serve`` drives it, with a version that is named."""
    front = kind("127.0.0.1", 0, model="m", health_path="/v1/models/m").start()
    try:
        front.set_endpoints(way.address for way in replicas)
        front.pin(VersionPin("m", 1))
        yield Way(f"127.0.0.1:{front.port}", front.pid)
    finally:
        front.stop()


@contextlib.contextmanager
def daemon(command: list[str], port: int) -> Iterator[Way]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield Way(f"127.0.0.1:{port}", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def haproxy(replicas: list[Way], folder: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()
    servers = "\n".join(f"  server s{i} {address} check inter 2s" for i, (address, *_) in enumerate(replicas))
    (folder / "haproxy.cfg").write_text(
        f"global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n"
        f"  timeout connect 2s\n  option redispatch\n  retries 2\n"
        f"listen b\n  bind 127.0.0.1:{port}\n  balance roundrobin\n{servers}\n"
    )
    return daemon(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], port)


def nginx(replicas: list[Way], folder: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()
    servers = " ".join(f"server {address};" for address, *_ in replicas)
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


def envoy(program: str, replicas: list[Way], folder: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()

    def at(address: str, number: int | str) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": address, "port_value": int(number)}}}

    http = "type.googleapis.com/envoy.extensions.filters"
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "b", "retry_policy": {"retry_on": "connect-failure,reset"}},
    }
    manager = {
        "@type": f"{http}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "b",
        "route_config": {"virtual_hosts": [{"name": "b", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{http}.http.router.v3.Router"}}],
    }
    endpoints = [{"endpoint": at(*way.address.split(":"))} for way in replicas]
    cluster = {
        "name": "b",
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "b", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    listener = {
        "name": "b",
        **at("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    (folder / "envoy.json").write_text(
        json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    )
    return daemon(
        [program, "--concurrency", "1", "--use-dynamic-base-id", "-c", str(folder / "envoy.json")], port
    )


_PEER = """
import sys, numpy, orjson, tensorflow as tf, uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
predict = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
app = FastAPI()
def answer(body):
    images = numpy.array(orjson.loads(body)["instances"], dtype=numpy.uint8)
    found = predict(images=tf.constant(images))["probabilities"].numpy()
    return orjson.dumps({"predictions": found}, option=orjson.OPT_SERIALIZE_NUMPY)
@app.post("/v1/models/m:predict")
async def post(request: Request) -> Response:
    return Response(await run_in_threadpool(answer, await request.body()), media_type="application/json")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""


@contextlib.contextmanager
def served(base: Path, *options: str) -> Iterator[tuple[Way, Way]]:
    """``tiphys serve``: the way by REST, and that by gRPC; the balancer and the replica are its process's children."""
    http, calls = free_port(), free_port()
    command = [sys.executable, "-m", "tiphys", "serve", str(base), "--name=m", f"--port={http}"]
    process = subprocess.Popen([*command, f"--grpc-port={calls}", *options], stderr=subprocess.DEVNULL)
    try:
        with ServingClient(f"http://127.0.0.1:{http}", "m") as client:
            client.wait_ready(120)
        yield Way(f"127.0.0.1:{http}", process.pid), Way(f"127.0.0.1:{calls}", process.pid, True)
    finally:
        process.terminate()
        process.wait(60)


def fastapi(python: str, model: Path) -> contextlib.AbstractContextManager[Way]:
    port = free_port()
    return daemon([python, "-c", _PEER, str(model), str(port)], port)
