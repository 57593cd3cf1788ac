"""The stand-in for a Deployment: replicas as real processes, each with an address of its own."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tiphys.argo.names import generated_name
from tiphys.argo.time import rfc3339
from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import ReplicaChanged
from tiphys.engine.objects.api import Api
from tiphys.engine.objects.replica import Replica, describe_end
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import claim_address
from tiphys.engine.pods.readiness import Readiness
from tiphys.engine.runners.base import StartProblem

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import DeploymentManifest, ObjectCondition, PodTemplate

__all__ = ["Deployment", "PodEndpoint"]


class PodEndpoint:
    """One replica of a deployment, with its readiness."""

    def __init__(self, owner: Deployment, revision: str, name: str, ip: str, template: PodTemplate) -> None:
        host = owner.host
        self.owner = owner
        self.revision = revision
        self.name = name
        self.ip = ip
        self.labels: dict[str, str] = dict((template.get("metadata") or {}).get("labels") or {})
        self.leaving = False
        containers = template["spec"]["containers"]
        main = containers[0]
        self.ports = {
            str(port.get("name")): int(port["containerPort"])
            for container in containers
            for port in container.get("ports") or []
            if port.get("name")
        }
        self.replica = Replica(
            host,
            name,
            template,
            main=str(main["name"]),
            restart="Always",
            ended=lambda code: None,
            restarted=self._restarted,
            ip=ip,
        )
        self._probe = main.get("readinessProbe")
        self.readiness = self._new_readiness()

    @property
    def ready(self) -> bool:
        return self.readiness.ready and self.replica.alive and not self.leaving

    def start(self) -> None:
        self.replica.start(self.readiness.start)

    def port(self, target: int | str) -> int:
        """A Service's ``targetPort``: a number or a name."""
        if isinstance(target, str) and not target.isdigit():
            return self.ports.get(target, 0)
        return int(target)

    def _new_readiness(self) -> Readiness:
        return Readiness(
            self.owner.host.loop,
            self.owner.host.network,
            self._probe,
            self.ip,
            self._ready,
            lost=self._lost,
            ports=self.ports,
            execute=self.replica.execute,
        )

    def _ready(self) -> None:
        self.owner.tell(self.name, "ready", self.ip)
        self.owner.sync()

    def _lost(self) -> None:
        self.owner.tell(self.name, "failed", "no longer ready")
        self.owner.sync()

    def _restarted(self, count: int) -> None:
        self.owner.tell(self.name, "restarted", f"restart {count}")
        self.readiness.stop()
        self.readiness = self._new_readiness()
        self.readiness.start()
        self.owner.sync()


class Deployment:
    """The controller of one Deployment object. ``changed`` is called when status or endpoints changed;
    ``drained(endpoint, then)`` calls ``then`` when no balancer sends it anything any more."""

    def __init__(
        self,
        host: Host,
        api: Api,
        item: DeploymentManifest,
        changed: Callable[[], None],
        drained: Callable[[PodEndpoint, Callable[[], None]], None],
    ) -> None:
        self.host = host
        self.api = api
        self.item = item
        self._changed = changed
        self._drained = drained
        self._endpoints: list[PodEndpoint] = []
        self._deleted = False
        self._revision = ""
        self._deadline: Timer | None = None
        self._late = False
        self._letters = random.Random()

    @property
    def endpoints(self) -> Iterable[PodEndpoint]:
        return list(self._endpoints)

    @property
    def complete(self) -> bool:
        """Whether all wanted replicas are ready."""
        return sum(each.ready for each in self._endpoints) >= self._wanted()

    def apply(self) -> None:
        """Follow the spec: start what is missing, roll out a new template, scale."""
        template = self.item["spec"]["template"]
        revision = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        if revision != self._revision:
            self._revision = revision
            self._late = False
            if self._deadline is not None:
                self._deadline.cancel()
            seconds = self.item["spec"].get("progressDeadlineSeconds")
            self._deadline = self.host.loop.call_later(
                600.0 if seconds is None else float(seconds), self._past_deadline
            )
        self.sync()

    def delete(self) -> None:
        self._deleted = True
        if self._deadline is not None:
            self._deadline.cancel()
        for endpoint in list(self._endpoints):
            self._retire(endpoint)

    def report(self) -> list[str]:
        """For people: what keeps the replicas from being ready, with the end of their logs."""
        lines = []
        for endpoint in self._endpoints:
            if not endpoint.ready and not endpoint.leaving:
                state = "is not ready"
                if endpoint.replica.restarts:
                    state = f"ended with exit code {endpoint.replica.last_code}, {endpoint.replica.restarts} restarts"
                lines += describe_end(self.host, endpoint.name, f"replica {endpoint.name} {state}")
        return lines

    def kill(self) -> None:
        self._deleted = True
        for endpoint in self._endpoints:
            endpoint.readiness.stop()
            endpoint.replica.kill()

    def release(self) -> list[int]:
        """Let the replicas outlive the run; their PIDs."""
        pids = []
        for endpoint in self._endpoints:
            endpoint.readiness.stop()
            pids += endpoint.replica.pids
            endpoint.replica.release()
        return pids

    def tell(self, replica: str, state: str, message: str) -> None:
        name = str(self.item["metadata"]["name"])
        self.host.tell(ReplicaChanged(self.host.loop.now(), "Deployment", name, replica, state, message))

    def sync(self) -> None:
        """One pass of the controller: rolling update with a surge of one, then the status."""
        if not self._deleted:
            wanted = self._wanted()
            new = [each for each in self._endpoints if each.revision == self._revision and not each.leaving]
            old = [each for each in self._endpoints if each.revision != self._revision and not each.leaving]
            surge = max(1, wanted // 4) if old else 0
            room = wanted + surge - len(new) - len(old)
            for _ in range(max(0, min(wanted - len(new), room))):
                if not self._add():
                    break
            new = [each for each in self._endpoints if each.revision == self._revision and not each.leaving]
            ready = sum(each.ready for each in new)
            # an old replica goes only when enough new ones answer, or it does not answer itself
            extra_old = len(old) - max(0, wanted - ready)
            for endpoint in sorted(old, key=lambda each: each.ready)[: max(0, extra_old)]:
                self._retire(endpoint)
            for endpoint in new[wanted:]:
                self._retire(endpoint)
        self._write()

    # -- inside -----------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        replicas = self.item["spec"].get("replicas")
        return 1 if replicas is None else int(replicas)

    def _add(self) -> bool:
        template = copy.deepcopy(self.item["spec"]["template"])
        ports = [
            int(port["containerPort"])
            for container in template["spec"]["containers"]
            for port in container.get("ports") or []
        ]
        name = generated_name(f"{self.item['metadata']['name']}-{self._revision}-", self._letters)
        try:
            ip = claim_address(self.host, "127.22", ports)
        except StartProblem as problem:
            self.tell(name, "failed", problem.message)
            return False
        endpoint = PodEndpoint(self, self._revision, name, ip, template)
        self._endpoints.append(endpoint)
        self.tell(name, "started", ip)
        endpoint.start()
        return True

    def _retire(self, endpoint: PodEndpoint) -> None:
        if endpoint.leaving:
            return
        endpoint.leaving = True
        endpoint.readiness.stop()

        def gone() -> None:
            if endpoint in self._endpoints:
                self._endpoints.remove(endpoint)
                self.tell(endpoint.name, "stopped", "")
                self.sync()

        self._drained(endpoint, lambda: endpoint.replica.stop(gone))

    def _past_deadline(self) -> None:
        self._late = True
        self._write()

    def _write(self) -> None:
        if self._deleted:
            self._changed()
            return
        wanted = self._wanted()
        live = [each for each in self._endpoints if not each.leaving]
        ready = sum(each.ready for each in live)
        updated = sum(each.revision == self._revision for each in live)
        done = ready == updated == len(live) == wanted
        if done and self._deadline is not None:
            self._deadline.cancel()
            self._late = False
        before = {each["type"]: each for each in (self.item.get("status") or {}).get("conditions") or []}
        name = f"{self.item['metadata']['name']}-{self._revision}"
        available = ready >= wanted - wanted // 4
        if self._late and not done:
            progress = (
                "False",
                "ProgressDeadlineExceeded",
                f'ReplicaSet "{name}" has timed out progressing.',
            )
        elif done:
            progress = ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        else:
            progress = ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        minimum = (
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            if available
            else ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        )
        numbers = {
            "observedGeneration": int(self.item["metadata"].get("generation") or 1),
            "replicas": len(live),
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
        }
        order = ("Available", "Progressing") if done else ("Progressing", "Available")
        found = {"Available": minimum, "Progressing": progress}
        conditions = [self._condition(kind, *found[kind], before.get(kind)) for kind in order]
        # the API server leaves zeros out
        counted = {key: value for key, value in numbers.items() if value}
        self.api.status(self.item, {**counted, "conditions": conditions})
        self._changed()

    def _condition(
        self, kind: str, state: str, reason: str, message: str, before: ObjectCondition | None
    ) -> ObjectCondition:
        now = rfc3339(self.host.loop.now())
        same = before is not None and before["status"] == state and before["reason"] == reason
        if same and before is not None:
            return before.copy()
        return {
            "lastTransitionTime": now,
            "lastUpdateTime": now,
            "message": message,
            "reason": reason,
            "status": state,
            "type": kind,
        }
