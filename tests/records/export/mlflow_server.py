"""MLflow servers for tests: a real one (``TIPHYS_MLFLOW`` names the program), and a small one of our own.

The own one answers what a real 3.17.2 answers to the few calls that are exported with; tests/records/export/
mlflow_answers.json holds what a real one answered to each of them, and a test compares.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.records.export.limits import takes

API = "/api/2.0/mlflow/"


class Refusal(Exception):
    def __init__(self, status: int, code: str, message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class Fake:
    """The state of a server, and its calls by name."""

    def __init__(self) -> None:
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.points: dict[str, set[tuple[str, int, int, Any]]] = {}
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[tuple[str, str], str] = {}

    def call(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, path.replace("/", "_").replace("-", "_"))(**asked)
        return answer

    def experiments_get_by_name(self, experiment_name: str) -> dict[str, Any]:
        for each in self.experiments.values():
            if each["name"] == experiment_name:
                return {"experiment": each}
        raise Refusal(404, "RESOURCE_DOES_NOT_EXIST")

    def experiments_create(self, name: str) -> dict[str, Any]:
        if any(each["name"] == name for each in self.experiments.values()):
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS")
        identity = str(len(self.experiments) + 1)
        self.experiments[identity] = {"experiment_id": identity, "name": name, "lifecycle_stage": "active"}
        return {"experiment_id": identity}

    def runs_create(
        self, experiment_id: str, run_name: str, start_time: int, tags: list[Any]
    ) -> dict[str, Any]:
        identity = uuid.uuid4().hex
        info = {"run_id": identity, "experiment_id": experiment_id, "run_name": run_name, "status": "RUNNING"}
        self.runs[identity] = {
            "info": info | {"start_time": start_time},
            "tags": _map(tags) | {"mlflow.runName": run_name},
            "params": {},
        }
        self.points[identity] = set()
        return {"run": self._shown(identity)}

    def _shown(self, identity: str) -> dict[str, Any]:
        run = self.runs[identity]
        latest: dict[str, Any] = {}
        for key, at, step, value in sorted(self.points[identity], key=lambda each: (each[2], each[1])):
            latest[key] = {"key": key, "value": value, "timestamp": at, "step": step}
        data = {"metrics": list(latest.values()), "params": _list(run["params"]), "tags": _list(run["tags"])}
        return {"info": run["info"], "data": {name: each for name, each in data.items() if each}}

    def runs_search(
        self,
        experiment_ids: list[str],
        filter: str,
        max_results: int,
        run_view_type: str,
        page_token: str = "",
    ) -> dict[str, Any]:
        asked = re.fullmatch(r"tags\.`([\w.]+)` = '([\w-]+)'", filter)
        assert asked and run_view_type == "ACTIVE_ONLY"
        found = [
            identity
            for identity, run in self.runs.items()
            if run["info"]["experiment_id"] in experiment_ids and run["tags"].get(asked[1]) == asked[2]
        ]
        return _page("runs", [self._shown(each) for each in found], max_results, page_token)

    def runs_log_batch(
        self, run_id: str, metrics: list[Any] = (), params: list[Any] = (), tags: list[Any] = ()
    ) -> dict[str, Any]:
        for limit, items in ((1000, metrics), (100, params), (100, tags)):
            if len(items) > limit or not all(takes(each["key"]) for each in items):
                raise Refusal(400, "INVALID_PARAMETER_VALUE", "limit")
        run = self.runs[run_id]
        for each in params:
            if run["params"].get(each["key"], each["value"]) != each["value"] or len(each["value"]) > 6000:
                raise Refusal(400, "INVALID_PARAMETER_VALUE", "Changing param values is not allowed.")
        for each in metrics:
            assert 0 <= each["timestamp"] < 2**63 and -(2**63) <= each["step"] < 2**63
            self.points[run_id].add((each["key"], each["timestamp"], each["step"], each["value"]))
        run["params"] |= _map(params)
        run["tags"] |= _map(tags)
        return {}

    def runs_update(self, run_id: str, status: str, run_name: str, end_time: int = 0) -> dict[str, Any]:
        info = self.runs[run_id]["info"]
        info |= {"status": status, "run_name": run_name} | ({"end_time": end_time} if end_time else {})
        self.runs[run_id]["tags"]["mlflow.runName"] = run_name
        return {"run_info": info}

    def metrics_get_history(
        self, run_id: str, metric_key: str, max_results: str, page_token: str = ""
    ) -> dict[str, Any]:
        found = [
            {"key": key, "value": value, "timestamp": at, "step": step}
            for key, at, step, value in sorted(self.points[run_id], key=lambda each: (each[1], each[2]))
            if key == metric_key
        ]
        return _page("metrics", found, int(max_results), page_token)

    def registered_models_create(self, name: str) -> dict[str, Any]:
        if name in self.models:
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS")
        if "/" in name or ":" in name or name in (".", "..", ""):
            raise Refusal(400, "INVALID_PARAMETER_VALUE")
        self.models[name] = []
        return {"registered_model": {"name": name}}

    def model_versions_create(self, name: str, source: str, run_id: str, tags: list[Any]) -> dict[str, Any]:
        if ".." in source.split("/"):
            raise Refusal(400, "INVALID_PARAMETER_VALUE", "Invalid model version source")
        version = str(len(self.models[name]) + 1)
        made = {"name": name, "version": version, "source": source, "run_id": run_id, "tags": tags}
        self.models[name].append(made)
        return {"model_version": made}

    def model_versions_search(self, filter: str, max_results: str, page_token: str = "") -> dict[str, Any]:
        asked = re.fullmatch(r"name = '([^']+)'", filter)
        assert asked
        return _page("model_versions", self.models.get(asked[1], []), int(max_results), page_token)

    def registered_models_alias(self, name: str, alias: str, version: str) -> dict[str, Any]:
        if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"latest|v\d+", alias, re.I):
            raise Refusal(400, "INVALID_PARAMETER_VALUE")
        assert int(version) <= len(self.models[name])
        self.aliases[name, alias] = version
        return {}


def _map(items: list[Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in items}


def _list(items: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in items.items()]


def _page(what: str, items: list[Any], most: int, token: str) -> dict[str, Any]:
    """Pages are smaller than a real server's, so that there are some."""
    start, most = int(token or 0), min(most, 100)
    following = {"next_page_token": str(start + most)} if start + most < len(items) else {}
    return {what: items[start : start + most], **following} if items else {}


Fault = Callable[[int, str], str]
"""Of the number and the path of a request: ``before`` or ``after`` for a connection that breaks before or after it was
done, a status such as ``503``, or nothing."""


class Server:
    """HTTP before a fake, or before a real server (``upstream``): breaks what it is told to, and notes what it saw."""

    def __init__(self, upstream: str = "") -> None:
        self.fake, self.upstream = Fake(), upstream
        self.fault: Fault = lambda number, path: ""
        self.seen: list[tuple[str, str, dict[str, Any], int, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: the second one would wait for an acknowledgement

            def log_message(self, *words: object) -> None:
                pass

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                outer.answer(self, parts.path, dict(parse_qsl(parts.query)))

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                assert len(data) <= 1_000_000
                outer.answer(self, self.path, json.loads(data))

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler, path: str, asked: dict[str, Any]) -> None:
        self.headers.append(dict(request.headers))
        fault = self.fault(len(self.headers), path)
        if fault == "before":
            request.close_connection = True
            return
        status, body = (int(fault), {}) if fault.isdigit() else self._done(request.command, path, asked)
        self.seen.append((request.command, path.removeprefix(API), asked, status, body))
        if fault == "after":
            request.close_connection = True
            return
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _done(self, method: str, path: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.upstream:
            import requests

            body = {"params": asked} if method == "GET" else {"json": asked}
            answer = requests.request(method, self.upstream + path, timeout=60, **body)  # type: ignore[arg-type]
            return answer.status_code, answer.json()
        try:
            return 200, self.fake.call(path.removeprefix(API), asked)
        except Refusal as error:
            return error.status, {"error_code": error.code, "message": error.message}

    @property
    def calls(self) -> list[str]:
        return [path for _, path, *_ in self.seen]


@contextlib.contextmanager
def real(program: str, folder: Path) -> Iterator[str]:
    """The address of a real server with an empty database, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        import os

        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
