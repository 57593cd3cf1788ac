"""All resource objects of a run and their controllers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypedDict, cast

from tiphys.argo.gateway import ROUTES
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.balancers import Balancers
from tiphys.engine.objects.deployment import Deployment, PodEndpoint
from tiphys.engine.objects.gang import GangController
from tiphys.engine.objects.jobset import JobSetController
from tiphys.engine.objects.pod import PodObject
from tiphys.engine.objects.pytorchjob import PyTorchJobController
from tiphys.engine.objects.route import Route
from tiphys.engine.objects.seats import check_gpus
from tiphys.engine.objects.service import Service
from tiphys.engine.objects.tfjob import TFJobController
from tiphys.engine.objects.workflow import MAKER, ChildRun, WorkflowObject
from tiphys.engine.pods.host import Host
from tiphys.gang.checks import GANGS

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import (
        DeploymentManifest,
        JobSetManifest,
        KubeObject,
        ServiceManifest,
        TFJobManifest,
    )
    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.engine.objects.front import ObjectFront
    from tiphys.engine.objects.route import RouteManifest
    from tiphys.gang.pytorchjob_rules import PyTorchJobManifest

    Record: TypeAlias = Callable[[str, str, Mapping[str, object] | None], None]

    class _Maker(KubeObject):
        """Which node of which run (its UID) made an object that goes on, as a journal keeps it; of a gang, where its
        replicas are."""

        node: str
        run: str
        ports: Sequence[int]


__all__ = ["Controllers", "Kept"]

_OUTLIVING = (*GANGS, "Pod", "Job")  # their processes go on when the engine is killed


def _record_name(item: KubeObject) -> str:
    """Under which a journal keeps who made an object: workflows came first."""
    name = str(item["metadata"]["name"])
    return name if item["kind"] == "Workflow" else f"{item['kind']}/{name}"


class Kept(TypedDict):
    """Services that outlive their run: their processes, the balancer's (0: none) and its socket."""

    services: list[dict[str, str]]
    pids: list[int]
    balancer: int
    control: str


class StartChild(Protocol):
    """How a run starts is known above: :func:`tiphys.engine.runtime.child.start_child`."""

    def __call__(
        self, item: KubeObject, parent: Host, resources: Controllers, *, again: bool = False
    ) -> ChildRun | None:
        """The run of a Workflow object. ``again``: the one that it stood for before the engine was killed, None when
        there is none."""


class Controllers:
    """The small cluster inside a run.

    ``start_child`` makes the run of a Workflow object; ``record(kind, name, object or None)`` keeps objects for a
    resume.
    """

    def __init__(
        self,
        host: Host,
        start_child: StartChild,
        record: Record,
    ) -> None:
        self.host = host
        # whose step makes something just now: that of a child workflow logs into its own folder
        self._maker = host
        self._node = ""  # and which it is
        self._start_child = start_child
        self.api = Api(host.namespace, host.loop.now)
        self.balancers = Balancers(host)
        self._record = record
        self._gangs: dict[str, GangController] = {}
        self._deployments: dict[str, Deployment] = {}
        self._services: dict[str, Service] = {}
        self._routes: dict[str, Route] = {}
        self._pods: dict[str, PodObject] = {}
        self._workflows: dict[str, WorkflowObject] = {}
        # after a resume: what goes on, by the node that had made it
        self._earlier: dict[str, KubeObject] = {}
        # what a run had made that has not gone on so far, by its UID
        self._waiting: dict[str, list[tuple[KubeObject, _Maker]]] = {}
        self._makers: dict[str, Mapping[str, object]] = {}  # of TFJobs
        self._leaving: dict[str, WorkflowObject] = {}  # deleted, and their pods not gone yet
        self._waiters: list[Callable[[], None]] = []
        self._poked = False
        self.api.admit = self._admit
        self.api.watch(self._watch)

    def know(self, name: str, uid: str, workflow: Workflow) -> None:
        """The running workflow itself is an object, too: a step may get or patch it."""
        item = cast("KubeObject", workflow).copy()
        item["kind"] = "Workflow"
        item["metadata"] = {**(workflow.get("metadata") or {}), "name": name, "uid": uid}
        self.api.restore(item)

    def create(self, manifest: KubeObject, host: Host, node_id: str) -> KubeObject:
        """Add an object that a step of the run behind ``host`` makes; the workflow that the step had made before the
        engine was killed goes on instead.

        Raises ApiError, and RefusedError for a Workflow that cannot run here.
        """
        before = self._maker, self._node
        self._maker, self._node = host, node_id
        try:
            item = self._gone_on(node_id) or self.api.create(manifest)
        finally:
            self._maker, self._node = before
        if item["kind"] == "Workflow" or item["kind"] in _OUTLIVING:
            name = _record_name(item)
            maker: dict[str, object] = {
                "kind": MAKER,
                "metadata": {"name": name},
                "node": node_id,
                "run": host.uid,
            }
            if item["kind"] in GANGS:
                maker["ports"] = self._gangs[name].ports
                self._makers[name] = maker
            self._record(MAKER, name, maker)
        return item

    def job(self, item: KubeObject) -> TFJobController | None:
        """The controller of a TFJob."""
        found = self._gangs.get(_record_name(item))
        return found if isinstance(found, TFJobController) else None

    def told(self, item: KubeObject) -> tuple[Path, str] | None:
        """As :attr:`GangController.told`, of any object."""
        gang = self._gangs.get(_record_name(item))
        return None if gang is None else gang.told

    def scale(self, job: TFJobController, workers: int) -> None:
        """As :meth:`TFJobController.scale`; its replicas are elsewhere then."""
        job.scale(workers)
        name = _record_name(cast("KubeObject", job.item))
        maker = self._makers[name] = {**self._makers[name], "ports": job.ports}
        self._record(MAKER, name, maker)

    def _gone_on(self, node_id: str) -> KubeObject | None:
        item = self._earlier.pop(node_id, None)
        if item is None:
            return None
        name = str(item["metadata"]["name"])
        if item["kind"] != "Workflow":  # it does already, unless it was deleted
            return item if self.api.get(item["kind"], name) is item else None
        child = self._child(item, again=True)
        if self.api.get("Workflow", name) is not None or not child.claim():
            return None
        self.api.restore(item)
        self._workflows[name] = child
        self.host.loop.call_soon(child.start)
        return item

    def on_change(self, check: Callable[[], None]) -> Callable[[], None]:
        """Call ``check`` soon after anything changed; returns what takes it back."""
        self._waiters.append(check)
        return lambda: self._waiters.remove(check) if check in self._waiters else None

    def settled(self, item: KubeObject, then: Callable[[], None]) -> None:
        """Call ``then`` when an object that was applied is in force (a Service: its balancer listens)."""
        front = self._front(item)
        if front is None:
            then()
        else:
            front.settled(then)

    def problem(self, item: KubeObject) -> str:
        """Why an object is not in force, or an empty string."""
        front = self._front(item)
        return front.problem if front is not None else ""

    def report(self, item: KubeObject) -> list[str]:
        """What a person should know about an object whose step failed."""
        name = str(item["metadata"]["name"])
        if (gang := self._gangs.get(_record_name(item))) is not None:
            return gang.report()
        if item["kind"] == "Deployment" and name in self._deployments:
            return self._deployments[name].report()
        return []

    def restore(self, objects: list[KubeObject]) -> None:
        """After a resume: bring back what served, go on with jobs, and drop those whose processes are gone."""
        makers = {item["metadata"]["name"]: cast("_Maker", item) for item in objects if item["kind"] == MAKER}
        objects = [item for item in objects if item["kind"] != MAKER]
        for item in objects:
            kind = item["kind"]
            if kind == "Workflow" or kind in _OUTLIVING:
                maker = makers.get(_record_name(item))
                if maker is None:  # its node runs again and makes it anew
                    self._record(kind, item["metadata"]["name"], None)
                else:
                    self._waiting.setdefault(maker.get("run", self.host.uid), []).append((item, maker))
                continue
            if kind == "Deployment":
                item.pop("status", None)
            self.api.restore(item)
            if kind in ("ConfigMap", "Secret"):
                self.host.objects.add(cast("GivenObject", item))
        for item in objects:
            if item["kind"] in ("Deployment", "Service", *ROUTES):
                self._watch("added", item)

    def go_on(self, host: Host, asking: Collection[str]) -> None:
        """After a resume: the run behind ``host`` goes on, and with it what its steps had made. ``asking``: its nodes
        that do so once more; a workflow goes on with such a node only."""
        for item, maker in self._waiting.pop(host.uid, []):
            kind, node = item["kind"], maker["node"]
            if (node in asking) if kind == "Workflow" else self._goes_on(item, maker, host):
                self._earlier[node] = item  # its node has its result, or asks for it once more
            else:  # its node either has its result or runs again and makes it anew
                self._record(kind, item["metadata"]["name"], None)
        if host.left is not None:
            host.left.drop_unclaimed()

    def going_on(self) -> set[str]:
        """The UIDs of the workflows that go on, or will when the run that had made them does."""
        made = [*self._earlier.values(), *(each.item for each in self._workflows.values())]
        found, look = set(), [str(item["metadata"]["uid"]) for item in made if item["kind"] == "Workflow"]
        while look:
            found.add(run := look.pop())
            waiting = [item for item, _ in self._waiting.get(run, ()) if item["kind"] == "Workflow"]
            look += [str(item["metadata"]["uid"]) for item in waiting]
        return found

    def _goes_on(self, item: KubeObject, maker: _Maker, host: Host) -> bool:
        """Go on with an object as a killed engine had it, if nothing of it is lost."""
        name = str(item["metadata"]["name"])
        if self.api.get(item["kind"], name) is not None:  # somebody was quicker than the run that had made it
            return False
        if item["kind"] in GANGS:
            gang = self._gang_of(item, host, maker["node"])
            if not gang.go_on(maker["ports"]):
                return False
            self._gangs[_record_name(item)] = gang
            self._makers[_record_name(item)] = maker
        else:
            pod = PodObject(host, self.api, item, self._poke)
            if not pod.go_on():
                return False
            self._pods[f"{item['kind']}/{name}"] = pod
        self.api.restore(item)
        return True

    def recovered(self, then: Callable[[], None], patience: float = 120.0) -> None:
        """Call ``then`` once everything that was restored serves again (or after ``patience`` seconds)."""
        deadline = self.host.loop.now() + patience

        def check() -> None:
            ready = all(each.complete for each in self._deployments.values())
            if not ready and self.host.loop.now() < deadline:
                self.host.loop.call_later(0.05, check)
                return
            waiting = self._fronts()

            def following() -> None:
                if waiting:
                    waiting.pop().settled(following)
                else:
                    then()

            following()

        check()

    def services(self) -> list[dict[str, str]]:
        """What is reachable now: ``{name, url}``."""
        return [{"name": each.name, "url": url} for each in self._fronts() for url in each.urls]

    def release(self) -> Kept | None:
        """Let deployments and balancers outlive the run; what :func:`stop_serving` must know,
        None when there is none."""
        pids = [pid for each in self._deployments.values() for pid in each.release()]
        if not pids:
            return None
        self.balancers.release()
        return {
            "services": self.services(),
            "pids": pids,
            "balancer": self.balancers.pid,
            "control": str(self.balancers.control),
        }

    def cut_off(self) -> list[str]:
        """The names of the workflows that were made and have not ended."""
        return [name for name, child in self._workflows.items() if child.running]

    def kill(self) -> None:
        """SIGKILL every server, and let go of the workflows. What else runs ends with its keeper: it did not end by
        itself, and is not to be taken for what did."""
        self.balancers.stopped = True
        for child in [*self._workflows.values(), *self._leaving.values()]:
            child.close()
        for each in self._deployments.values():
            each.kill()

    # -- inside -----------------------------------------------------------------------------------------------

    def _watch(self, change: str, item: KubeObject) -> None:
        kind, name = str(item["kind"]), str(item["metadata"]["name"])
        if kind in GANGS:
            self._gang(change, item)
        elif kind == "Deployment":
            self._deployment(change, name, item)
        elif kind == "Service":
            self._service(change, name, item)
        elif kind in ROUTES:
            self._route(change, item)
        elif kind in ("Pod", "Job"):
            self._pod(change, name, item)
        elif kind == "Workflow":
            self._workflow(change, name)
        elif kind in ("ConfigMap", "Secret") and change != "deleted":
            self.host.objects.add(cast("GivenObject", item))
        elif kind == "PersistentVolumeClaim" and change == "added":
            self.host.store.volume(name)
            item["status"] = {"phase": "Bound"}
        if change != "status" or kind in _OUTLIVING:
            self._record(kind, name, None if change == "deleted" else item)
        self._poke()

    def _gang(self, change: str, item: KubeObject) -> None:
        name = _record_name(item)
        if change == "added":
            gang = self._gangs[name] = self._gang_of(item, self._maker, self._node)
            self.host.loop.call_soon(gang.start)
        elif change == "deleted" and name in self._gangs:
            self._gangs.pop(name).delete()

    def _gang_of(self, item: KubeObject, host: Host, node: str) -> GangController:
        gang: GangController
        if item["kind"] == "TFJob":
            gang = TFJobController(host, self.api, cast("TFJobManifest", item), self._poke)
        elif item["kind"] == "PyTorchJob":
            gang = PyTorchJobController(host, self.api, cast("PyTorchJobManifest", item), self._poke)
        else:
            gang = JobSetController(host, self.api, cast("JobSetManifest", item), self._poke)
        gang.node = node
        return gang

    def _deployment(self, change: str, name: str, item: KubeObject) -> None:
        if change == "added":
            own = cast("DeploymentManifest", item)
            self._deployments[name] = Deployment(self._maker, self.api, own, self._pods_changed, self._drain)
        if change in ("added", "spec"):
            # at once: a step that waits must not take the status of the spec before for an answer
            self._deployments[name].apply()
        elif change == "deleted" and name in self._deployments:
            self._deployments.pop(name).delete()

    def _service(self, change: str, name: str, item: KubeObject) -> None:
        if change == "added":
            own = cast("ServiceManifest", item)
            self._services[name] = Service(self._maker, own, self.balancers, self._endpoints)
        if change in ("added", "spec"):
            self._services[name].sync()
        elif change == "deleted" and name in self._services:
            self._services.pop(name).delete()
        for route in self._routes.values():
            route.sync()

    def _route(self, change: str, item: KubeObject) -> None:
        name = _record_name(item)
        if change == "added":
            own = cast("RouteManifest", item)
            self._routes[name] = Route(self._maker, own, self.balancers, self._services.get)
        if change in ("added", "spec"):
            self._routes[name].sync()
        elif change == "deleted" and name in self._routes:
            self._routes.pop(name).delete()

    def _fronts(self) -> list[ObjectFront]:
        """What has balancers; routes come last, as they look at Services."""
        return [*self._services.values(), *self._routes.values()]

    def _front(self, item: KubeObject) -> ObjectFront | None:
        return (
            self._services.get(str(item["metadata"]["name"]))
            if item["kind"] == "Service"
            else self._routes.get(_record_name(item))
        )

    def _pod(self, change: str, name: str, item: KubeObject) -> None:
        key = f"{item['kind']}/{name}"
        if change == "added":
            pod = self._pods[key] = PodObject(self._maker, self.api, item, self._poke)
            self.host.loop.call_soon(pod.start)
        elif change == "deleted" and key in self._pods:
            self._pods.pop(key).delete()

    def _child(self, item: KubeObject, *, again: bool = False) -> WorkflowObject:
        maker = self._maker
        return WorkflowObject(
            maker.loop, self.api, item, self._poke, lambda: self._start_child(item, maker, self, again=again)
        )

    def _admit(self, item: KubeObject) -> None:
        check_gpus(self._maker, item)
        if item["kind"] == "Workflow":
            name = str(item["metadata"]["name"])
            child = self._child(item)
            if name not in self._leaving:
                child.claim()
            self._workflows[name] = child

    def _workflow(self, change: str, name: str) -> None:
        child = self._workflows.get(name)
        if child is None:
            return
        if change == "added" and name not in self._leaving:
            child.start()
        elif change == "deleted":
            self._leaving[name] = self._workflows.pop(name)
            child.delete(lambda: self._left(name))

    def _left(self, name: str) -> None:
        """A workflow that was deleted is gone: one that was made in its name meanwhile may begin."""
        self._leaving.pop(name, None)
        if name in self._workflows:
            self.host.loop.call_soon(self._workflows[name].start)

    def _endpoints(self) -> list[PodEndpoint]:
        return [endpoint for each in self._deployments.values() for endpoint in each.endpoints]

    def _pods_changed(self) -> None:
        for front in self._fronts():
            front.sync()
        self._poke()

    def _drain(self, endpoint: PodEndpoint, then: Callable[[], None]) -> None:
        """Take a replica out of every balancer, then go on."""
        names = self._fronts()
        for front in names:
            front.sync()

        def following() -> None:
            if names:
                names.pop().drained(following)
            else:
                then()

        following()

    def _poke(self) -> None:
        if self._waiters and not self._poked:
            self._poked = True
            self.host.loop.call_soon(self._check)

    def _check(self) -> None:
        self._poked = False
        for check in list(self._waiters):
            check()
