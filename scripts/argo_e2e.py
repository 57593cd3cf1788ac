"""Argo's own end-to-end suites (test/e2e), run against `tiphys server`.

    go mod download -json github.com/argoproj/argo-workflows/v4@v4.0.5      # its Dir is SOURCE
    scripts/argo_e2e.py SOURCE cli_test.go [TEST ...]

It compiles the suites once, into a copy of SOURCE below --work (ten minutes of Go), starts a server on an empty store
and runs every test of the file in a process of its own: one that fails ends its process. `argo` must be on the PATH.
The suites ask for HTTP at localhost:2746; client-go sends its token over TLS alone, so a relay with a certificate of
its own stands before the server for that. What is printed: a line a test, and the counts; what a test said is below
--work/said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiphys.server.certificate import own_certificate

TAGS = "api,cli,corefunctional,cron,executor,functional"


def binary(source: Path, work: Path) -> Path:
    """The compiled suites, beside the files that they read."""
    tree = work / "source"
    if not tree.exists():
        shutil.copytree(source, tree)
        for path in [tree, *tree.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
    (tree / "dist").mkdir(exist_ok=True)
    argo, link = shutil.which("argo"), tree / "dist" / "argo"
    if argo is None:
        sys.exit("argo is not on the PATH")
    link.unlink(missing_ok=True)
    link.symlink_to(argo)
    made = work / "e2e.test"
    if not made.exists():
        words = ["go", "test", "-c", "-tags", TAGS, "-o", str(made), "./test/e2e"]
        subprocess.run(words, cwd=tree, env={**os.environ, "GOFLAGS": "-buildvcs=false"}, check=True)
    return made


@contextlib.contextmanager
def server(work: Path, port: int, tls: int) -> Iterator[Path]:
    """A server with an empty store; the kubeconfig that leads to it."""
    store = Path(tempfile.mkdtemp(prefix="store-", dir=work))
    words = [
        "--store",
        str(store),
        "--port",
        str(port),
        "--insecure",
        "--image",
        "*=host",
        "--runner",
        "auto",
    ]
    with open(work / "server.log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "tiphys", "server", *words], stdout=log, stderr=log)
    try:
        found = store / "server" / "kubeconfig"
        until = time.monotonic() + 60
        threading.Thread(target=lambda: asyncio.run(_relay(store, port, tls)), daemon=True).start()
        while not found.exists() or not (_listens(port) and _listens(tls)):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"the server does not answer: {work / 'server.log'}")
            time.sleep(0.1)
        config = json.loads(found.read_text())
        _configure(port, config["users"][0]["user"]["token"])
        config["clusters"][0]["cluster"] = {
            "server": f"https://localhost:{tls}",
            "insecure-skip-tls-verify": True,
        }
        config["users"].append({"name": "fake_token_user", "user": {"token": "none"}})
        led = work / "kubeconfig"
        led.write_text(json.dumps(config))
        led.chmod(0o600)
        yield led
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(store, ignore_errors=True)


def _configure(port: int, token: str) -> None:
    """What the controller of Argo's own clusters for these tests is configured with, as far as it is read here."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "workflow-controller-configmap"},
        "data": {"persistence": "archive: true", "artifactRepository": "archiveLogs: true"},
    }
    _ask(port, token, "POST", "/api/v1/namespaces/argo/configmaps", body)


def _ask(port: int, token: str, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def _empty_archive(port: int, kubeconfig: Path) -> None:
    """As the suites do themselves before each test, in the database of the archive."""
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    for each in _ask(port, token, "GET", "/api/v1/archived-workflows")["items"] or ():
        _ask(port, token, "DELETE", f"/api/v1/archived-workflows/{each['metadata']['uid']}")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


async def _relay(store: Path, port: int, tls: int) -> None:
    """TLS before the server."""
    (store / "relay").mkdir()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*own_certificate(store / "relay", ["localhost"]))

    async def led(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))

    async with await asyncio.start_server(led, "127.0.0.1", tls, ssl=context) as listening:
        await listening.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


def outcome(program: Path, suite: str, test: str, kubeconfig: Path, work: Path) -> str:
    """Run one test: ``passed``, ``skipped`` or ``failed``."""
    words = [str(program), "-test.v", "-test.run", f"^{suite}$", "-testify.m", f"^{test}$"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("ARGO_")}
    env |= {"KUBECONFIG": str(kubeconfig), "CI": "true"}
    with open(work / "said" / test, "w+") as said:
        try:
            done = subprocess.run(
                words, cwd=work / "source" / "test" / "e2e", env=env, stdout=said, stderr=said, timeout=300
            ).returncode
        except subprocess.TimeoutExpired:
            done = 124
        said.seek(0)
        text = said.read()
        if done or "no tests to run" in text:
            return "failed"
        return "skipped" if "=== SKIP" in text else "passed"


def main() -> int:
    """Run the tests of a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("file", help="cli_test.go, argo_server_test.go, …")
    parser.add_argument("tests", nargs="*")
    parser.add_argument("--work", type=Path, default=Path("build/argo-e2e"))
    parser.add_argument("--port", type=int, default=2746, help="cli and argo_server know this one alone")
    parser.add_argument("--tls-port", type=int, default=6443)
    options = parser.parse_args()
    work = options.work.absolute()
    (work / "said").mkdir(parents=True, exist_ok=True)
    program = binary(options.source, work)
    text = (work / "source" / "test" / "e2e" / options.file).read_text()
    suites = {
        name: function
        for function, name in re.findall(
            r"^func (Test\w+)\(t \*testing\.T\) \{\s+suite\.Run\(t, new\((\w+)\)", text, re.M
        )
    }
    methods = re.findall(r"^func \(s \*(\w+)\) (Test\w+)\(\)", text, re.MULTILINE)
    known = [(suites[name], test) for name, test in methods if name in suites]  # one suite is never run
    counts: Counter[str] = Counter()
    with server(work, options.port, options.tls_port) as kubeconfig:
        for suite, test in known:
            if not options.tests or test in options.tests:
                _empty_archive(options.port, kubeconfig)
                began = time.monotonic()
                found = outcome(program, suite, test, kubeconfig, work)
                counts[found] += 1
                sys.stdout.write(f"{found:8} {test} {time.monotonic() - began:.1f} s\n")
                sys.stdout.flush()
    sys.stdout.write(", ".join(f"{number} {name}" for name, number in sorted(counts.items())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
