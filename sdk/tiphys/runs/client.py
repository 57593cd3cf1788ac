"""The client: submit workflows to a cluster, follow them, and change their course."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tiphys.argo.memo import example_map
from tiphys.argo.parameters import as_text
from tiphys.argo.spec import every_template
from tiphys.errors import ClusterError
from tiphys.runs.backend import Backend, WorkflowLogLine, ended
from tiphys.runs.cluster.config import kubernetes_transport, server_settings
from tiphys.runs.cluster.errors import WaitTimeout
from tiphys.runs.cluster.kubernetes import Kubernetes
from tiphys.runs.cluster.server import ArgoServer
from tiphys.runs.cluster.submission import Submission, prepare
from tiphys.runs.cluster.transport import Transport
from tiphys.runs.result import Result

if TYPE_CHECKING:
    from tiphys.argo.cache_mode import CacheMode
    from tiphys.argo.types import Workflow

__all__ = ["Client", "Submitted"]

_MOST = 1048576  # bytes of a ConfigMap
_NEARLY = 0.8
_SILENCE = 60.0  # seconds without an event after which the state is looked at again


@dataclass(frozen=True)
class Submitted:
    """A workflow that a cluster accepted. ``notes`` are things worth knowing, such as a semaphore limit that
    the cluster sets otherwise than the file."""

    name: str
    namespace: str
    workflow: Workflow
    notes: tuple[str, ...] = ()


class Client:
    """Runs workflows on a real Argo, through the Argo Server or straight through the Kubernetes API; or looks at and
    changes the runs of this machine.

    ``Client(store=".tiphys")`` has the runs of a store, those that other processes run, too. There ``retry`` and
    ``resubmit`` run in this process, to the end.

    ``Client()`` finds its way as the `argo` command does: ``ARGO_SERVER`` (with ``ARGO_TOKEN``,
    ``ARGO_SECURE``, ``ARGO_NAMESPACE``, …) if set, else the kubeconfig. Both have the same verbs; a way that
    cannot do something says so (TIP611).

    >>> client = Client(server="localhost:2746", token="Bearer …", namespace="team")     # doctest: +SKIP
    >>> run = client.submit("pipelines/fashion_mnist.py", parameters={"epochs": 3})      # doctest: +SKIP
    >>> client.wait(run.name, timeout=3600).succeeded                                    # doctest: +SKIP
    True
    """

    def __init__(
        self,
        *,
        server: str | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        insecure: bool | None = None,
        kubeconfig: str | None = None,
        context: str | None = None,
        namespace: str | None = None,
        store: str | PathLike[str] | None = None,
        backend: Backend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.store = store
        default = ""
        if backend is None and store is not None:
            from tiphys.engine import RunOptions
            from tiphys.runs.local import LocalRuns

            backend, default = LocalRuns(RunOptions(store=Path(store))), "argo"
        if backend is None:
            settings = None
            if kubeconfig is None and context is None:
                settings = server_settings(server, token=token, ca_file=ca_file, insecure=insecure)
            if settings is not None:
                backend, default = ArgoServer(settings.transport()), settings.namespace
            else:
                transport, default = kubernetes_transport(kubeconfig, context)
                backend = Kubernetes(transport)
        self.backend = backend
        self.namespace = namespace or default or "default"

    @classmethod
    def argo_server(
        cls,
        *,
        transport: Transport,
        namespace: str = "default",
        clock: Callable[[], float] = time.monotonic,
    ) -> Client:
        """A client of an Argo Server behind a transport of one's own, such as a FakeTransport."""
        return cls(backend=ArgoServer(transport), namespace=namespace, clock=clock)

    @classmethod
    def kubernetes(
        cls,
        *,
        transport: Transport,
        namespace: str = "default",
        clock: Callable[[], float] = time.monotonic,
    ) -> Client:
        """A client of the Kubernetes API behind a transport of one's own, such as a FakeTransport."""
        return cls(backend=Kubernetes(transport), namespace=namespace, clock=clock)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give connections back."""
        self.backend.close()

    # -- looking ---------------------------------------------------------------------------------------------

    def list(
        self, *, labels: str = "", phases: Sequence[str] = (), limit: int = 0, brief: bool = False
    ) -> list[Result]:
        """The workflows of the namespace, the newest first; ``labels`` is a label selector.

        ``brief``: nodes, templates and outputs may be left out, which is much faster. A run of this machine that cannot
        be read has the phase ``Unreadable``, and says why.
        """
        listed = self.backend.list(self.namespace, labels=labels, limit=limit, brief=brief)
        found = [Result.of(item) for item in listed]
        if phases:
            found = [item for item in found if item.phase in phases]
        return sorted(
            found, key=lambda item: str(item.workflow["metadata"].get("creationTimestamp")), reverse=True
        )

    def get(self, name: str) -> Result:
        """One workflow as it stands. ``@latest`` is the one submitted last."""
        return Result.of(self.backend.get(self.namespace, self._name(name)))

    def full_name(self, name: str) -> str:
        """The name that ``@latest`` stands for; any other name as it is."""
        return self._name(name)

    def _name(self, name: str) -> str:
        if name != "@latest":
            return name
        newest = self.list(brief=True)
        if not newest:
            raise ClusterError(
                "TIP605",
                f"there is no workflow in namespace {self.namespace!r}",
                where=self.backend.url,
                fix="submit one: tiphys submit FILE (or run one here: tiphys run FILE)",
            )
        return newest[0].name

    def watch(self, name: str, *, timeout: float | None = None) -> Iterator[Result]:
        """Each new state of a workflow, the present one first and its end last, driven by the cluster's
        events.

        A stream that breaks is taken up again where it stood. Raises WaitTimeout (TIP620) after ``timeout``
        seconds, ClusterError TIP621 when the workflow is deleted meanwhile.
        """
        name = self._name(name)
        deadline = None if timeout is None else self._clock() + timeout
        current = self.backend.get(self.namespace, name)
        identity = current["metadata"].get("uid")
        failures = 0
        while True:
            yield Result.of(current)
            seen = current["metadata"].get("resourceVersion", "")
            while not ended(current):
                silence = _SILENCE
                if deadline is not None:
                    silence = min(silence, deadline - self._clock())
                    if silence <= 0:
                        raise self._late(current, timeout or 0)
                try:
                    for change in self.backend.watch(self.namespace, name, seen, silence):
                        failures = 0
                        if change.kind == "DELETED":
                            raise _deleted(name)
                        if change.workflow["metadata"].get("resourceVersion") == seen:
                            continue  # the present state again, with which the Argo Server begins
                        current = change.workflow
                        seen = current["metadata"].get("resourceVersion", "")
                        yield Result.of(current)
                        if ended(current):
                            return
                        if deadline is not None and self._clock() >= deadline:
                            raise self._late(current, timeout or 0)
                    latest = self.backend.get(self.namespace, name)
                except ClusterError as error:
                    if error.code == "TIP605":
                        raise _deleted(name) from error
                    failures += 1
                    if error.code not in ("TIP601", "TIP608") or failures > 5:
                        raise
                    self._pause(min(2.0**failures / 4, 5.0), deadline)
                    continue
                if latest["metadata"].get("uid") != identity:
                    raise _deleted(name)
                if latest["metadata"].get("resourceVersion") != seen:
                    current = latest
                    break
            else:
                return

    def _pause(self, seconds: float, deadline: float | None) -> None:
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - self._clock()))
        time.sleep(seconds)

    def _late(self, workflow: Workflow, timeout: float) -> WaitTimeout:
        state = Result.of(workflow)
        reasons = [item for item in (state.message, *state.waiting[:3]) if item]
        reason = ": " + "; ".join(reasons) if reasons else ""
        return WaitTimeout(
            f"{state.name} has not ended after {timeout:g} s",
            phase=state.phase,
            cause=f"it is {state.phase}{reason}" + (f", {state.progress} done" if state.progress else ""),
            fix="wait longer (--timeout), look at `tiphys get`, or stop it; it runs on meanwhile",
        )

    def wait(self, name: str, *, timeout: float | None = None) -> Result:
        """Wait until a workflow has ended (Pending is not an end) and return how.

        Raises WaitTimeout (TIP620) after ``timeout`` seconds, ClusterError TIP621 when it is deleted
        meanwhile.
        """
        state = None
        for state in self.watch(name, timeout=timeout):  # noqa: B007  the last one counts
            pass
        assert state is not None  # watch gives the present state at least
        return state

    def logs(
        self, name: str, *, follow: bool = False, pod: str = "", container: str = "", tail: int = 0
    ) -> Iterator[WorkflowLogLine]:
        """The log lines of all pods of a workflow: its steps, the workers of its TFJobs, its model servers.

        ``follow`` goes on until the workflow's end. Lines that Argo's executor writes about itself are left
        out.
        """
        return self.backend.logs(
            self.namespace, self._name(name), follow=follow, pod=pod, container=container, tail=tail
        )

    # -- changing --------------------------------------------------------------------------------------------

    def submit(
        self,
        source: object,
        *,
        parameters: Mapping[str, object] | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        service_account: str = "",
        priority: int | None = None,
        entrypoint: str = "",
        update_limits: bool = False,
        cache: CacheMode = "auto",
        made_from: Mapping[str, str] | None = None,
    ) -> Submitted:
        """Submit a pipeline, any Hera workflow, a mapping, YAML text, or a path to YAML or Python.

        Semaphore limits that the file brings along and the cluster lacks are created first. Where the cluster
        has another value it stays (it is the administrator's) and is noted, unless ``update_limits``.

        ``made_from``: what it was made from, for its records (``{"git": COMMIT}``; :mod:`tiphys.runs.made_from`).

        ``cache="refresh"``: this run reads no earlier result and stores what it computes; ``"never"`` neither reads nor
        stores. RefusedError TIP285 where a step's template is on the cluster only, and that would not reach it.
        """
        made = prepare(
            source,
            parameters=parameters,
            name=name,
            labels=labels,
            service_account=service_account,
            priority=priority,
            entrypoint=entrypoint,
            cache=cache,
            made_from=made_from,
        )
        notes = [*self._limits(made, update_limits), *self._full_caches(made)]
        # The namespace that was asked for wins over the file's: the limits above went there, too
        made.workflow["metadata"]["namespace"] = self.namespace
        created = self.backend.create(self.namespace, made.workflow)
        return Submitted(created["metadata"]["name"], self.namespace, created, tuple(notes))

    def _limits(self, made: Submission, update: bool) -> Sequence[str]:
        notes = []
        for config_map, wanted in made.limits.items():
            there = self.backend.limits(self.namespace, config_map, list(wanted))
            write = {key: value for key, value in wanted.items() if key not in there}
            for key, value in wanted.items():
                if key in there and there[key] != value:
                    if update:
                        write[key] = value
                    else:
                        notes.append(
                            f"semaphore {config_map}/{key} is {there[key]} here, not {value} as in the file; "
                            "it stays (update_limits changes it)"
                        )
            if write:
                self.backend.set_limits(self.namespace, config_map, write)
        return notes

    def _full_caches(self, made: Submission) -> Iterator[str]:
        """What will soon be full: a step whose result no longer fits into its cache ends in Error."""
        names = {
            example_map(str(((memo.get("cache") or {}).get("configMap") or {}).get("name") or ""))
            for _, template in every_template(made.workflow["spec"].get("templates"))
            if (memo := template.get("memoize"))
        }
        for name in sorted(names - {""}):
            part = (self.backend.cache_bytes(self.namespace, name) or 0) / _MOST
            if part >= _NEARLY:
                yield (
                    f"the cache {name} is {part:.0%} full: the controller cannot write beyond 1 MiB, and a step that "
                    f"succeeded ends in Error; delete entries that are no longer hit: kubectl edit configmap {name}"
                )

    def stop(self, name: str, *, nodes: str = "", message: str = "") -> Result:
        """Stop a workflow: its pods are ended, its exit handler runs and clears away what it created.

        With ``nodes`` (a selector such as ``displayName=approve``) only the waiting suspend steps that it names fail,
        with ``message``, and the workflow goes on from there.
        """
        return Result.of(self.backend.stop(self.namespace, self._name(name), nodes=nodes, message=message))

    def terminate(self, name: str) -> tuple[Result, Sequence[str] | None]:
        """End a workflow at once, without its exit handler, and delete the TFJobs, Deployments and Services it
        created. Returns the state and what was deleted.

        The Argo Server shows no such objects: the second value is None, and they stay until the workflow, which
        owns them, is deleted.
        """
        name = self._name(name)
        state = Result.of(self.backend.terminate(self.namespace, name))
        gone: dict[str, None] = {}
        try:
            for _ in range(20):  # a step may be creating one at this moment
                found = self.backend.leftovers(self.namespace, name, delete=True)
                gone.update(dict.fromkeys(found))
                if not found and Result.of(self.backend.get(self.namespace, name)).ended:
                    break
                time.sleep(0.5)
        except ClusterError as error:
            if error.code != "TIP611":
                raise
            return state, None
        return state, tuple(gone)

    def suspend(self, name: str) -> Result:
        """Start nothing new; what runs goes on."""
        return Result.of(self.backend.suspend(self.namespace, self._name(name)))

    def resume(self, name: str, *, nodes: str = "") -> Result:
        """Go on after a suspend, and let waiting suspend steps pass (only those that ``nodes`` selects)."""
        return Result.of(self.backend.resume(self.namespace, self._name(name), nodes=nodes))

    def supply(self, name: str, nodes: str, outputs: Mapping[str, str]) -> Result:
        """Give output parameters to the suspend steps that ``nodes`` selects (`argo node set`); :meth:`resume` lets
        them pass. Only for runs of a store: raises ClusterError TIP611 elsewhere."""
        supply = getattr(self.backend, "supply", None)
        if supply is None:
            raise ClusterError(
                "TIP611",
                "outputs of suspend steps are not supplied this way on a cluster",
                fix="argo node set NAME --node-field-selector … --output-parameter NAME=VALUE",
            )
        return Result.of(supply(self._name(name), nodes, outputs))

    def retry(
        self,
        name: str,
        *,
        parameters: Mapping[str, object] | None = None,
        restart_successful: bool = False,
        nodes: str = "",
    ) -> Result:
        """Run again what failed, in the same workflow; what succeeded stays."""
        given = {key: as_text(value) for key, value in (parameters or {}).items()}
        return Result.of(
            self.backend.retry(
                self.namespace,
                self._name(name),
                parameters=given,
                restart_successful=restart_successful,
                nodes=nodes,
            )
        )

    def resubmit(
        self, name: str, *, parameters: Mapping[str, object] | None = None, memoized: bool = False
    ) -> Submitted:
        """Submit a copy as a new workflow; ``memoized`` takes over what had succeeded in a run that failed."""
        given = {key: as_text(value) for key, value in (parameters or {}).items()}
        created = self.backend.resubmit(self.namespace, self._name(name), parameters=given, memoized=memoized)
        return Submitted(created["metadata"]["name"], self.namespace, created)

    def delete(self, name: str) -> None:
        """Delete a workflow and what it owns: its pods, TFJobs, Deployments and Services."""
        self.backend.delete(self.namespace, self._name(name))


def _deleted(name: str) -> ClusterError:
    return ClusterError(
        "TIP621",
        f"{name} was deleted while it was watched",
        fix="how it ended is no longer known to the cluster",
    )
