"""The verbs straight to the Kubernetes API: no Argo Server needed, only the rights of a kubeconfig."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from tiphys.argo import verbs
from tiphys.argo.time import rfc3339
from tiphys.errors import ClusterError
from tiphys.runs.backend import Change, WorkflowLogLine, ended
from tiphys.runs.cluster.calls import Caller
from tiphys.runs.cluster.errors import not_found
from tiphys.runs.cluster.nudge import see_to_it
from tiphys.runs.cluster.packing import packed, unpacked
from tiphys.runs.cluster.podlogs import PodLogs
from tiphys.runs.cluster.transport import Request, Transport

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import PodManifest
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject

__all__ = ["Kubernetes"]

_WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
_MERGE_PATCH = "application/merge-patch+json"
_OWN_LABEL = "tiphys.dev/workflow"
_LEFTOVERS = (
    ("tfjobs", "/apis/kubeflow.org/v1"),
    ("pytorchjobs", "/apis/kubeflow.org/v1"),
    ("jobsets", "/apis/jobset.x-k8s.io/v1alpha2"),
    ("deployments", "/apis/apps/v1"),
    ("services", "/api/v1"),
    ("httproutes", "/apis/gateway.networking.k8s.io/v1"),
    ("grpcroutes", "/apis/gateway.networking.k8s.io/v1"),
)
_OLD = ("tfjobs", "deployments", "services")


def _now() -> str:
    return rfc3339(time.time())


@contextlib.contextmanager
def _possible() -> Iterator[None]:
    try:
        yield
    except verbs.ImpossibleError as error:
        raise ClusterError("TIP612", error.message, cause=error.cause, fix=error.fix) from error


class Kubernetes(Caller):
    """The Kubernetes API behind ``transport``."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Callable[[], str] = _now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(transport)
        self._clock = clock
        self._pause = pause

    @staticmethod
    def _path(namespace: str, name: str = "") -> str:
        base = f"/apis/argoproj.io/v1alpha1/namespaces/{quote(namespace)}/workflows"
        return f"{base}/{quote(name)}" if name else base

    def _named(
        self,
        what: str,
        method: str,
        namespace: str,
        name: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        content_type: str = "application/json",
    ) -> Workflow:
        request = Request(method, self._path(namespace, name), query or {}, body, content_type)
        try:
            result: Workflow = self.json(f"{what} {name}", request)
        except ClusterError as error:
            if error.code != "TIP605":
                raise
            known = [item["metadata"]["name"] for item in self.list(namespace, brief=True)]
            raise not_found("workflow", name, namespace, known) from error
        return result

    def create(self, namespace: str, workflow: Workflow) -> Workflow:
        created: Workflow = self.json("submit", Request("POST", self._path(namespace), body=workflow))
        return created

    def get(self, namespace: str, name: str) -> Workflow:
        return unpacked(self._named("get", "GET", namespace, name))

    def list(
        self, namespace: str, *, labels: str = "", limit: int = 0, brief: bool = False
    ) -> Sequence[Workflow]:
        query = {}
        if labels:
            query["labelSelector"] = labels
        if limit:
            query["limit"] = str(limit)
        items = self.json("list", Request("GET", self._path(namespace), query)).get("items") or []
        whole = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
        return [cast("Workflow", {**whole, **item}) for item in items]

    def watch(self, namespace: str, name: str, version: str, silence: float) -> Iterator[Change]:
        for kind, item in self._events(self._path(namespace), f"metadata.name={name}", "", version, silence):
            yield Change(kind, unpacked(cast("Workflow", item)))

    def _events(
        self, path: str, fields: str, labels: str, version: str, silence: float
    ) -> Iterator[tuple[str, JsonObject]]:
        query = {"watch": "true", "allowWatchBookmarks": "true"}
        if fields:
            query["fieldSelector"] = fields
        if labels:
            query["labelSelector"] = labels
        if version:
            query["resourceVersion"] = version
        with self.stream("watch", Request("GET", path, query, timeout=silence), allowed=(410,)) as stream:
            if stream.status == 410:
                return
            for line in stream:
                try:
                    event = json.loads(line)
                except ValueError:
                    return  # cut off in the middle of a line: the connection broke
                if event["type"] == "ERROR":
                    return  # too old a version, mostly
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]

    # -- logs ------------------------------------------------------------------------------------------------

    def logs(
        self, namespace: str, name: str, *, follow: bool, pod: str = "", container: str = "", tail: int = 0
    ) -> Iterator[WorkflowLogLine]:
        return PodLogs(self, namespace, name, pod=pod, container=container, tail=tail).lines(follow)

    def pods(self, namespace: str, name: str) -> tuple[Sequence[PodManifest], str]:
        """The pods of a workflow, those of its jobs and servers included, the oldest first; and the version of the
        list."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods"
        listed = self.json("logs", Request("GET", path, {"labelSelector": f"{_WORKFLOW_LABEL}={name}"}))
        found: Sequence[PodManifest] = listed.get("items") or []
        found = sorted(found, key=lambda item: str(item["metadata"].get("creationTimestamp")))
        return found, str((listed.get("metadata") or {}).get("resourceVersion", ""))

    def pod_events(
        self, namespace: str, name: str, version: str, silence: float
    ) -> Iterator[tuple[str, PodManifest]]:
        """What happens to the pods of a workflow after ``version``."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods"
        for kind, item in self._events(path, "", f"{_WORKFLOW_LABEL}={name}", version, silence):
            yield kind, cast("PodManifest", item)

    def pod_log(self, namespace: str, pod: str, query: Mapping[str, str], *, follow: bool) -> Iterator[str]:
        """The lines of a container's log."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        request = Request("GET", path, query, timeout=None if follow else 30.0)
        with self.stream(f"logs of {pod}", request, allowed=(400, 404)) as stream:
            if stream.status in (400, 404):
                return  # the pod went away, or its log did
            yield from stream

    # -- changes ---------------------------------------------------------------------------------------------

    def _patch(self, what: str, namespace: str, name: str, value: Mapping[str, object]) -> Workflow:
        return self._named(what, "PATCH", namespace, name, body=value, content_type=_MERGE_PATCH)

    def _running(self, what: str, namespace: str, name: str) -> None:
        workflow = self._named(what, "GET", namespace, name)
        if ended(workflow):
            raise ClusterError(
                "TIP612",
                f"cannot {what} {name}: it has ended as {workflow['status']['phase']}",
                fix="nothing is left to do; `tiphys delete` removes it",
            )

    def stop(self, namespace: str, name: str, *, nodes: str = "", message: str = "") -> Workflow:
        if nodes:
            now = self._clock()
            return self._rewrite(
                "stop", namespace, name, lambda old: verbs.declined(old, now, nodes, message)
            )
        self._running("stop", namespace, name)
        return self._patch("stop", namespace, name, {"spec": {"shutdown": "Stop"}})

    def terminate(self, namespace: str, name: str) -> Workflow:
        self._running("terminate", namespace, name)
        return self._patch("terminate", namespace, name, {"spec": {"shutdown": "Terminate"}})

    def suspend(self, namespace: str, name: str) -> Workflow:
        self._running("suspend", namespace, name)
        return self._patch("suspend", namespace, name, {"spec": {"suspend": True}})

    def _rewrite(
        self, what: str, namespace: str, name: str, change: Callable[[Workflow], Workflow]
    ) -> Workflow:
        """Read, change and write back; once more when the controller was faster. A status that was changed is one that
        the controller has to go on from: that it does is seen to."""
        for attempt in range(5):
            current = self._named(what, "GET", namespace, name)
            small = bool((current.get("status") or {}).get("compressedNodes"))
            with _possible():
                changed = change(unpacked(current))
            body = packed(changed) if small else changed
            try:
                written = self._named(what, "PUT", namespace, name, body=body)
            except ClusterError as error:
                if error.code != "TIP606" or attempt == 4:
                    raise
                continue
            if body.get("status") == current.get("status"):
                return unpacked(written)
            return unpacked(
                see_to_it(
                    written,
                    lambda: self._named(what, "GET", namespace, name),
                    lambda patch: self._patch(what, namespace, name, patch),
                    self._clock,
                    self._pause,
                )
            )
        raise AssertionError("unreachable")

    def resume(self, namespace: str, name: str, *, nodes: str = "") -> Workflow:
        return self._rewrite(
            "resume", namespace, name, lambda workflow: verbs.resumed(workflow, self._clock(), nodes)
        )

    def retry(
        self,
        namespace: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        restart_successful: bool,
        nodes: str,
    ) -> Workflow:
        doomed: list[str] = []

        def change(workflow: Workflow) -> Workflow:
            nonlocal doomed
            result, doomed = verbs.retried(
                workflow,
                self._clock(),
                parameters=parameters,
                restart_successful=restart_successful,
                selector=nodes,
            )
            return result

        # A new pod takes its predecessor's name: those go first, as the Argo Server does it.
        with _possible():
            change(self.get(namespace, name))
        pods = f"/api/v1/namespaces/{quote(namespace)}/pods"
        for item in self.pods(namespace, name)[0]:
            if (item["metadata"].get("annotations") or {}).get("workflows.argoproj.io/node-id") in doomed:
                self._delete(f"{pods}/{quote(item['metadata']['name'])}", "retry")
        return self._rewrite("retry", namespace, name, change)

    def _delete(self, path: str, what: str) -> None:
        self.send(what, Request("DELETE", path, {"propagationPolicy": "Background"}), allowed=(404,))

    def resubmit(
        self, namespace: str, name: str, *, parameters: Mapping[str, str], memoized: bool
    ) -> Workflow:
        old = self.get(namespace, name)
        if memoized:
            from tiphys.argo.names import generated_name

            suffix = generated_name("", SystemRandom())
            with _possible():
                made = verbs.memoized(old, suffix, self._clock(), parameters=parameters)
            return self.create(namespace, made)
        return self.create(namespace, verbs.resubmitted(old, parameters=parameters))

    def delete(self, namespace: str, name: str) -> None:
        self._named("delete", "DELETE", namespace, name, query={"propagationPolicy": "Background"})

    # -- what stands beside a workflow -----------------------------------------------------------------------

    def limits(self, namespace: str, config_map: str, keys: Sequence[str]) -> dict[str, str]:
        path = f"/api/v1/namespaces/{quote(namespace)}/configmaps/{quote(config_map)}"
        answer = self.send("read the semaphore limits", Request("GET", path), allowed=(404,))
        if answer.status == 404:
            return {}
        data = answer.json().get("data") or {}
        return {key: str(data[key]) for key in keys if key in data}

    def set_limits(self, namespace: str, config_map: str, values: Mapping[str, str]) -> None:
        base = f"/api/v1/namespaces/{quote(namespace)}/configmaps"
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": config_map},
            "data": dict(values),
        }
        made = self.send(
            f"create the ConfigMap {config_map}", Request("POST", base, body=body), allowed=(409,)
        )
        if made.status == 409:  # it is there
            patch = {"data": dict(values)}
            request = Request("PATCH", f"{base}/{quote(config_map)}", {}, patch, _MERGE_PATCH)
            self.send(f"set the semaphore limits in {config_map}", request)

    def cache_bytes(self, namespace: str, config_map: str) -> int | None:
        path = f"/api/v1/namespaces/{quote(namespace)}/configmaps/{quote(config_map)}"
        answer = self.send("look at a cache", Request("GET", path), allowed=(403, 404))
        if answer.status != 200:
            return None
        data = answer.json().get("data") or {}
        return sum(len(f"{key}{value}".encode()) for key, value in data.items())

    def leftovers(self, namespace: str, name: str, *, delete: bool) -> Sequence[str]:
        found = []
        for kind, base in _LEFTOVERS:
            path = f"{base}/namespaces/{quote(namespace)}/{kind}"
            request = Request("GET", path, {"labelSelector": f"{_OWN_LABEL}={name}"})
            # a role that is older than other kinds of a pipeline says nothing of them
            absent = (404,) if kind in _OLD else (403, 404)
            answer = self.send(f"look for the {kind} of {name}", request, allowed=absent)
            if answer.status in absent:
                continue  # nobody here knows the kind
            for item in answer.json().get("items") or []:
                found.append(f"{kind}/{item['metadata']['name']}")
                if delete:
                    self._delete(f"{path}/{quote(item['metadata']['name'])}", f"delete {found[-1]}")
        return found
