"""The verbs through the Argo Server's REST API: what the Argo UI uses, no right in Kubernetes needed."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, cast
from urllib.parse import quote

from tiphys.errors import ClusterError
from tiphys.runs.backend import Change, WorkflowLogLine, ended
from tiphys.runs.cluster.calls import Caller
from tiphys.runs.cluster.errors import from_answer, not_found
from tiphys.runs.cluster.follow import (
    Merger,
    Patience,
    Stamps,
    containers_of,
    is_executor,
    source_names,
    until_end,
)
from tiphys.runs.cluster.transport import Request

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject

    class _Streamed(TypedDict, total=False):
        """What comes as ``result`` of a message in a stream: an event of a watch, or a line of a log."""

        type: str
        object: Workflow
        podName: str
        content: str


__all__ = ["ArgoServer"]

_QUIET = 5.0  # seconds: what still writes that long after the end of the workflow is left
_CONFIG_MAP = 0  # SyncConfigType: the JSON form takes the number only


class ArgoServer(Caller):
    """An Argo Server behind ``transport``."""

    def _call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
        name: str = "",
        namespace: str = "",
    ) -> JsonObject:
        answer = self.send(what, Request(method, "/api/v1/" + path, query or {}, body), allowed=(404,))
        if answer.status == 404:
            if name and f'"{name}' in answer.text.replace("\\", ""):
                raise not_found("workflow", name, namespace, self._names(namespace))
            raise from_answer(404, answer.text, what, self.url)
        found: JsonObject = answer.json() if answer.text else {}
        return found

    def _names(self, namespace: str) -> list[str]:
        query = {"fields": "items.metadata.name"}
        answer = self.transport.send(Request("GET", f"/api/v1/workflows/{quote(namespace)}", query))
        if answer.status >= 300:
            return []
        return [item["metadata"]["name"] for item in answer.json().get("items") or []]

    def create(self, namespace: str, workflow: Workflow) -> Workflow:
        body = {"namespace": namespace, "serverDryRun": False, "workflow": workflow}
        return _workflow(self._call("submit", "POST", f"workflows/{quote(namespace)}", body=body))

    def get(self, namespace: str, name: str) -> Workflow:
        return self._verb("get", "GET", namespace, name)

    def _verb(
        self, what: str, method: str, namespace: str, name: str, body: Mapping[str, object] | None = None
    ) -> Workflow:
        path = f"workflows/{quote(namespace)}/{quote(name)}"
        if method == "PUT":
            path += f"/{what}"
            body = {"name": name, "namespace": namespace, **(body or {})}
        return _workflow(
            self._call(f"{what} {name}", method, path, body=body, name=name, namespace=namespace)
        )

    def list(
        self, namespace: str, *, labels: str = "", limit: int = 0, brief: bool = False
    ) -> Sequence[Workflow]:
        query = {
            "fields": "metadata,items.metadata,items.spec.shutdown,items.spec.suspend,items.spec.arguments,"
            "items.status.phase,items.status.message,items.status.startedAt,items.status.finishedAt,"
            "items.status.progress"
        }
        if labels:
            query["listOptions.labelSelector"] = labels
        if limit:
            query["listOptions.limit"] = str(limit)
        answer = self._call("list", "GET", f"workflows/{quote(namespace)}", query=query)
        items = cast("list[Workflow]", answer.get("items") or [])
        return [_workflow(item) for item in items]

    def watch(self, namespace: str, name: str, version: str, silence: float) -> Iterator[Change]:
        query = {"listOptions.fieldSelector": f"metadata.name={name}"}
        if version:
            query["listOptions.resourceVersion"] = version
        request = Request("GET", f"/api/v1/workflow-events/{quote(namespace)}", query, timeout=silence)
        try:
            with self.stream(f"watch {name}", request) as stream:
                for message in _messages(stream):
                    if "result" not in message:
                        return  # an error in the stream, such as a version that is too old
                    event = message["result"]
                    yield Change(event.get("type", "MODIFIED"), _workflow(event["object"]))
        except ClusterError as error:
            if "too old resource version" not in (error.cause or ""):
                raise  # the server says so in the stream, or as HTTP 400 where no event came before

    def logs(
        self, namespace: str, name: str, *, follow: bool, pod: str = "", container: str = "", tail: int = 0
    ) -> Iterator[WorkflowLogLine]:
        workflow = self.get(namespace, name)
        names = source_names(workflow)
        follow = follow and not ended(workflow)
        # The server streams one container name of all the workflow's pods in one answer.
        wanted = [container] if container else containers_of(workflow)
        path = f"/api/v1/workflows/{quote(namespace)}/{quote(name)}/log"

        def read(of: str, stamps: dict[str, Stamps]) -> Iterator[WorkflowLogLine]:
            query = {"logOptions.container": of, "logOptions.follow": str(follow).lower()}
            query["logOptions.timestamps"] = "true"
            if tail and not stamps:
                query["logOptions.tailLines"] = str(tail)
            if pod:
                query["podName"] = pod
            for stamp in stamps.values():
                stamp.again()
            with self.stream(f"logs {name}", Request("GET", path, query, timeout=None)) as stream:
                for message in _messages(stream):
                    entry = message.get("result") or {}
                    at = entry.get("podName", "")
                    text = stamps.setdefault(at, Stamps()).text(entry.get("content", "")) if at else None
                    if text is not None and not is_executor(text):
                        yield WorkflowLogLine(at, of, names(at), text)

        merger = Merger()
        over = threading.Event()

        def followed(of: str) -> Iterator[WorkflowLogLine]:
            """Through connections that break, to the workflow's end: what was missed is read again."""
            stamps: dict[str, Stamps] = {}
            patience = Patience(merger.closed)
            while not merger.closed.is_set():
                try:
                    for line in read(of, stamps):
                        patience.worked()
                        yield line
                    if not follow or over.is_set() or ended(self.get(namespace, name)):
                        return
                except ClusterError as error:
                    patience.failed(error)
                merger.closed.wait(0.5)

        def until_the_end() -> Iterator[WorkflowLogLine]:
            until_end(self, namespace, name, merger.closed)
            over.set()
            merger.finish(_QUIET, len(wanted))
            yield from ()

        for of in wanted:
            merger.start(functools.partial(followed, of))
        if follow:
            merger.start(until_the_end, background=True)
        return iter(merger)

    def stop(self, namespace: str, name: str, *, nodes: str = "", message: str = "") -> Workflow:
        return self._verb("stop", "PUT", namespace, name, _given(nodeFieldSelector=nodes, message=message))

    def terminate(self, namespace: str, name: str) -> Workflow:
        return self._verb("terminate", "PUT", namespace, name)

    def suspend(self, namespace: str, name: str) -> Workflow:
        return self._verb("suspend", "PUT", namespace, name)

    def resume(self, namespace: str, name: str, *, nodes: str = "") -> Workflow:
        return self._verb("resume", "PUT", namespace, name, _given(nodeFieldSelector=nodes))

    def retry(
        self,
        namespace: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        restart_successful: bool,
        nodes: str,
    ) -> Workflow:
        body = _given(
            parameters=[f"{key}={value}" for key, value in parameters.items()],
            restartSuccessful=restart_successful,
            nodeFieldSelector=nodes,
        )
        return self._verb("retry", "PUT", namespace, name, body)

    def resubmit(
        self, namespace: str, name: str, *, parameters: Mapping[str, str], memoized: bool
    ) -> Workflow:
        body = _given(parameters=[f"{key}={value}" for key, value in parameters.items()], memoized=memoized)
        return self._verb("resubmit", "PUT", namespace, name, body)

    def delete(self, namespace: str, name: str) -> None:
        path = f"workflows/{quote(namespace)}/{quote(name)}"
        self._call(f"delete {name}", "DELETE", path, name=name, namespace=namespace)

    def limits(self, namespace: str, config_map: str, keys: Sequence[str]) -> dict[str, str]:
        found = {}
        for key in keys:
            path = f"/api/v1/sync/{quote(namespace)}/{quote(key)}"
            query = {"type": str(_CONFIG_MAP), "cmName": config_map}
            what = "read the semaphore limits"
            answer = self.send(what, Request("GET", path, query), allowed=(404,))
            if answer.status == 404:
                if "not found" not in answer.text.lower() or "Not Found" in answer.text:
                    raise from_answer(404, answer.text, what, self.url)
                continue
            found[key] = str(answer.json()["limit"])
        return found

    def set_limits(self, namespace: str, config_map: str, values: Mapping[str, str]) -> None:
        there = self.limits(namespace, config_map, list(values))
        for key, value in values.items():
            body = {
                "namespace": namespace,
                "cmName": config_map,
                "key": key,
                "limit": int(value),
                "type": _CONFIG_MAP,
            }
            method, path = (
                ("PUT", f"sync/{quote(namespace)}/{quote(key)}")
                if key in there
                else ("POST", f"sync/{quote(namespace)}")
            )
            self._call(f"set the semaphore limit {config_map}/{key}", method, path, body=body)

    def cache_bytes(self, namespace: str, config_map: str) -> int | None:
        return None  # the Argo Server shows no ConfigMaps

    def leftovers(self, namespace: str, name: str, *, delete: bool) -> Sequence[str]:
        raise ClusterError(
            "TIP611",
            "the Argo Server shows no TFJobs, Deployments and Services",
            fix="use a kubeconfig, or `tiphys delete`: what a workflow owns is deleted with it",
        )


def _given(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value}


def _workflow(value: Mapping[str, object]) -> Workflow:
    """The object with its kind, which the server leaves out."""
    return cast("Workflow", {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **value})


def _messages(lines: Iterable[str]) -> Iterator[dict[str, _Streamed]]:
    """The JSON objects of a stream: one a line, or ``data: {…}`` from a server that sends events."""
    for line in lines:
        text = line.removeprefix("data:").strip()
        if not text.startswith("{"):
            continue
        try:
            yield json.loads(text)
        except ValueError:
            return  # cut off in the middle of a line: the connection broke
