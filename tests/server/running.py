"""A server in a process of its own, as a user starts it, and what clients need of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kubernetes
import requests

GROUP = ("argoproj.io", "v1alpha1", "argo")
HELLO = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "hello-"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "dag": {"tasks": [{"name": "a", "template": "say"}]}},
            {"name": "say", "container": {"image": "x", "command": ["sh", "-c"], "args": ["echo hello"]}},
        ],
    },
}
GATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "gate-", "labels": {"team": "blue"}},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "steps": [[{"name": "ask", "template": "ask"}]]},
            {"name": "ask", "suspend": {}},
        ],
    },
}
FAILS = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "fails-"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "dag": {
                    "tasks": [
                        {"name": "a", "template": "good"},
                        {"name": "b", "template": "bad", "depends": "a"},
                    ]
                },
            },
            {"name": "good", "container": {"image": "x", "command": ["true"]}},
            {
                "name": "bad",
                "container": {"image": "x", "command": ["sh", "-c"], "args": ["echo bad; exit 3"]},
            },
        ],
    },
}


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[str]
    store: Path
    url: str
    kubeconfig: Path

    @property
    def token(self) -> str:
        return str(json.loads(self.kubeconfig.read_text())["users"][0]["user"]["token"])

    @property
    def certificate(self) -> str:
        return str(self.store / "server" / "server.crt")

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        """A request as no client sends it: ``headers`` replace the usual ones."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}  # type: ignore[dict-item]
        return requests.request(
            method,
            self.url + path,
            headers=headers,
            verify=self.certificate,
            timeout=30,
            **options,  # type: ignore[arg-type]
        )

    def client(self) -> kubernetes.client.ApiClient:
        """The official client."""
        return kubernetes.config.new_client_from_config(str(self.kubeconfig))

    def submit(self, workflow: object) -> str:
        """Create a Workflow with the official client; its name."""
        with self.client() as client:
            api = kubernetes.client.CustomObjectsApi(client)
            return str(api.create_namespaced_custom_object(*GROUP, "workflows", workflow)["metadata"]["name"])

    def get(self, name: str) -> dict[str, object]:
        with self.client() as client:
            api = kubernetes.client.CustomObjectsApi(client)
            found: dict[str, object] = api.get_namespaced_custom_object(*GROUP, "workflows", name)
            return found

    def until(self, name: str, *phases: str, seconds: float = 60) -> dict[str, object]:
        """A Workflow once it has one of the phases (``Suspended``: a node waits)."""
        until = time.monotonic() + seconds
        while True:
            found = self.get(name)
            status: dict[str, object] = found.get("status") or {}  # type: ignore[assignment]
            nodes: dict[str, dict[str, str]] = status.get("nodes") or {}  # type: ignore[assignment]
            waits = any(n["type"] == "Suspend" and n["phase"] == "Running" for n in nodes.values())
            if status.get("phase") in phases or ("Suspended" in phases and waits):
                return found
            assert time.monotonic() < until, found
            time.sleep(0.05)


@contextlib.contextmanager
def server(store: Path, *words: str) -> Iterator[Running]:
    """Start a server on a free port, and end it."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tiphys",
            "server",
            "--store",
            str(store),
            "--port",
            "0",
            "--image",
            "*=host",
            *words,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        second = process.stdout.readline()
        assert first.startswith("tiphys server on "), first
        yield Running(process, store, first.split()[-1], Path(second.strip().partition("KUBECONFIG=")[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
