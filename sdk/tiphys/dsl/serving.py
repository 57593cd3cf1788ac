"""Serving models: replicated TF Serving behind a Service that can be pointed at another model without a gap.

A model is deployed under its own name; a *slot* (``first``, ``second``) is a Service whose selector names the
model that it serves now. To swap a model is to apply the Service with another selector, after the new model's
replicas are ready, so no request fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiphys.argo.gateway import ADDRESS
from tiphys.compiler.line import Site, caller
from tiphys.dsl.gateway import (
    GRPC_ROUTES,
    HTTP_ROUTES,
    SHARED,
    Gateway,
    address,
    grpc_port,
    route,
    shares,
)
from tiphys.dsl.literals import literal
from tiphys.dsl.names import check_name
from tiphys.dsl.pod import POD_SECURITY, Defaults, secured
from tiphys.dsl.registry import ModelRegistry
from tiphys.dsl.resource import Resource, splice
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.task import Task
from tiphys.dsl.values import ConditionValue, Expression, Input, Value
from tiphys.errors import DefinitionError
from tiphys.reference import Reference
from tiphys.registry.names import NAME_LABEL, VERSION_LABEL, calls_service

if TYPE_CHECKING:
    from tiphys.argo.gateway import RouteKind
    from tiphys.dsl.gate import Gate

__all__ = ["SERVING_IMAGE", "Serving"]

SERVING_IMAGE = "tensorflow/serving:2.19.1"
_RUN = "{{workflow.name}}"
_WORKFLOW, _MODEL = "tiphys.dev/workflow", "tiphys.dev/model"


@dataclass(frozen=True, slots=True)
class _Shape:
    name: str
    replicas: int
    image: str
    claim: str
    port: int
    grpc_port: int
    resources: Resources
    site: Site
    service_type: str


class _Deploy(Resource):
    """The Deployment of one model; ends when all replicas answer."""

    def __init__(
        self,
        shape: _Shape,
        owned: bool,
        template: str,
        which: Mapping[str, Any],
        name: str,
        labels: Mapping[str, str],
    ) -> None:
        """``which``: the input, with its type, that tells Deployments apart."""
        n = shape.replicas
        super().__init__(
            template,
            {},
            action="apply",
            inputs={**which, "model": Reference},
            success=[f"status.{field} == {n}" for field in ("readyReplicas", "updatedReplicas", "replicas")],
            failure=[f"status.conditions.{i}.reason == ProgressDeadlineExceeded" for i in (0, 1)],
            owned=owned,
            retry=Retry.on_infrastructure(),
        )
        self.site, self.shape = shape.site, shape
        self.object_name, self.labels = name, labels

    def object(self, defaults: Defaults) -> Mapping[str, Any]:
        shape = self.shape
        volume = defaults.mount_of(shape.claim, shape.site)
        model = Input("model")
        uri = f"({model.expr()} startsWith '{{' ? fromJSON({model.expr()}).uri : {model.expr()})"
        path = Expression(
            lambda: f"{literal(volume.mount_path)} + trimPrefix({uri}, {literal(f'pvc://{shape.claim}')})",
            (model,),
        )
        labels = self.labels
        container = {
            "name": "serving",
            "image": shape.image,
            "args": [
                f"--model_name={shape.name}",
                f"--model_base_path={splice(path)}",
                f"--rest_api_port={shape.port}",
                f"--port={shape.grpc_port}",
                # a client resolves a name anew, and a Service chooses anew, for a new connection only
                "--grpc_channel_arguments=grpc.max_connection_age_ms=30000",
            ],
            "ports": [
                {"name": "http", "containerPort": shape.port},
                {"name": "grpc", "containerPort": shape.grpc_port},
            ],
            "readinessProbe": {
                "httpGet": {"path": f"/v1/models/{shape.name}", "port": shape.port},
                "periodSeconds": 2,
                "failureThreshold": 3,
            },
            "resources": shape.resources.mapping(),
        }
        pod: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            **defaults.scheduling.pod(),
            "volumes": [volume.volume()],
            "containers": [container],
        }
        secured(container, pod, [volume], mounts_read_only=True)
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.object_name, "labels": labels},
            "spec": {
                "replicas": shape.replicas,
                "progressDeadlineSeconds": 180,
                "selector": {"matchLabels": labels},
                "template": {
                    # the first label makes `argo logs` and the Argo UI show the servers
                    "metadata": {"labels": {"workflows.argoproj.io/workflow": _RUN, **labels}},
                    "spec": pod,
                },
            },
        }


def _expose(shape: _Shape, owned: bool) -> Resource:
    """The Service of one slot: points it at a model, and says its URL."""
    slot = splice(Input("slot"))
    labels = {_WORKFLOW: _RUN, "tiphys.dev/slot": slot}
    selector = {_WORKFLOW: _RUN, _MODEL: splice(Input("name"))}
    return _service(shape, owned, "expose", f"{_RUN}-{slot}", labels, selector, {"slot": str, "name": str})


def _expose_calls(shape: _Shape, owned: bool) -> Resource:
    """The headless Service of one slot."""
    slot = splice(Input("slot"))
    labels = {_WORKFLOW: _RUN, "tiphys.dev/slot": slot}
    selector = {_WORKFLOW: _RUN, _MODEL: splice(Input("name"))}
    name = calls_service(f"{_RUN}-{slot}")
    return _headless(shape, owned, "expose-calls", name, labels, selector, {"slot": str, "name": str})


def _headless(
    shape: _Shape,
    owned: bool,
    template: str,
    name: str,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    inputs: Mapping[str, Any],
) -> Resource:
    """A Service without an address: DNS gives those of all replicas, so that a client may take turns."""
    place = f"dns:///{name}.{{{{workflow.namespace}}}}.svc:{shape.grpc_port}"
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels, "annotations": {ADDRESS: place}},
        "spec": {"clusterIP": "None", "selector": selector, "ports": [grpc_port(shape.grpc_port)]},
    }
    return Resource(
        template,
        manifest,
        inputs=inputs,
        outputs={"target": address()},
        output_defaults={"target": ""},
        owned=owned,
        retry=SHARED,
    )


def _service(
    shape: _Shape,
    owned: bool,
    template: str,
    name: str,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    inputs: Mapping[str, Any],
    retry: Retry | None = None,
) -> Resource:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "type": shape.service_type,
            "selector": selector,
            "ports": [
                {"name": "http", "protocol": "TCP", "port": shape.port, "targetPort": shape.port},
                grpc_port(shape.grpc_port),
            ],
        },
    }
    return Resource(
        template,
        manifest,
        action="apply",
        inputs=inputs,
        outputs={"url": "http://{.spec.clusterIP}:{.spec.ports[0].port}"},
        output_defaults={"url": ""},
        owned=owned,
        retry=retry or Retry.on_infrastructure(),
    )


class Serving:
    """TF Serving of exported models: ``replicas`` servers for each model, a Service for each slot.

    ``name`` is the model's name in URLs (``/v1/models/<name>``). With ``owned`` what was made disappears with
    the Workflow object. Call :meth:`publish` for the usual case; :attr:`deploy`, :attr:`expose`,
    :attr:`retire` and :attr:`stop` are the templates behind it. With a ``gateway`` requests are shared out among models
    by weight (:meth:`split`).
    """

    def __init__(
        self,
        name: str,
        *,
        replicas: int = 2,
        image: str = SERVING_IMAGE,
        claim: str = "tiphys",
        port: int = 8501,
        grpc_port: int = 8500,
        resources: Resources | None = None,
        service_type: str = "ClusterIP",
        owned: bool = True,
        gateway: Gateway | None = None,
    ) -> None:
        site = caller()
        check_name(name, "a served model", site)
        if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1:
            raise DefinitionError(
                "TIP109",
                f"Serving({name!r}, replicas={replicas!r})",
                where=str(site),
                cause="a model is served by at least one replica",
                fix="give a whole number of at least 1",
            )
        if service_type not in ("ClusterIP", "NodePort", "LoadBalancer"):
            raise DefinitionError(
                "TIP105",
                f"service_type={service_type!r}",
                where=str(site),
                fix='use "ClusterIP", "NodePort" or "LoadBalancer"',
            )
        shape = _Shape(
            name,
            replicas,
            image,
            claim,
            port,
            grpc_port,
            resources or Resources(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="1Gi"),
            site,
            service_type,
        )
        self.name, self.replicas, self.image = name, replicas, image
        self._shape, self._owned, self._gateway = shape, owned, gateway
        self._routes: dict[tuple[str, int], Resource] = {}
        own = splice(Input("name"))
        self.deploy: Resource = _Deploy(
            shape, owned, "deploy", {"name": str}, f"{_RUN}-{own}", {_WORKFLOW: _RUN, _MODEL: own}
        )
        """``deploy(name=…, model=…)``: the replicas of a model."""
        self.expose: Resource = _expose(shape, owned)
        """``expose(slot=…, name=…)``: the Service of a slot, at the model ``name``; output ``url``."""
        self.expose_calls: Resource = _expose_calls(shape, owned)
        """``expose_calls(slot=…, name=…)``: a headless Service for gRPC clients; output ``target``, for a channel that
        takes turns (``round_robin``). Through a slot's own Service all calls of a connection go to one replica."""
        self.reach: Resource = _service(
            shape,
            owned,
            "reach",
            f"{_RUN}-{own}-model",
            {_WORKFLOW: _RUN},
            {_WORKFLOW: _RUN, _MODEL: own},
            {"name": str},
            retry=SHARED,
        )
        """``reach(name=…)``: a Service of one model, whatever the slots serve; output ``url``."""
        self.retire = Resource(
            "retire",
            action="delete",
            inputs={"keep": str},
            flags=[
                "deployments.apps",
                "--selector",
                f"{_WORKFLOW}={_RUN},{_MODEL},{_MODEL} notin ({Input('keep').tag()})",
            ],
        )
        """``retire(keep="a,b")``: remove this run's deployments except those of the named models."""
        self.stop = Resource(
            "stop-serving",
            action="delete",
            flags=[
                ",".join(["deployments.apps", "services", *((HTTP_ROUTES, GRPC_ROUTES) if gateway else ())]),
                "--selector",
                f"{_WORKFLOW}={_RUN}",
            ],
        )
        """``stop()``: remove all deployments and services of this run, and the routes that it was the last to set."""

        version = splice(Input("version"))
        of_version = {NAME_LABEL: name, VERSION_LABEL: f"v{version}"}
        self.deploy_version: Resource = _Deploy(
            shape, False, "deploy-version", {"version": int}, f"{name}-v{version}", of_version
        )
        """``deploy_version(version=…, model=…)``: the replicas of a version of the registry; they outlive the run."""
        self.point: Resource = _service(
            shape, False, "point", name, {NAME_LABEL: name}, of_version, {"version": int}
        )
        """``point(version=…)``: the Service of the served name itself, at a version; output ``url``."""
        self.point_calls: Resource = _headless(
            shape, False, "point-calls", calls_service(name), {NAME_LABEL: name}, of_version, {"version": int}
        )
        """``point_calls(version=…)``: as ``expose_calls``, beside the Service of the served name; a rollback moves it,
        too; output ``target``."""
        self.retire_versions = Resource(
            "retire-versions",
            action="delete",
            inputs={"keep": str},
            flags=[
                "deployments.apps",
                "--selector",
                f"{NAME_LABEL}={name},{VERSION_LABEL},{VERSION_LABEL} notin ({Input('keep').tag()})",
            ],
        )
        """``retire_versions(keep="v3,v2")``: remove the replicas of all other versions."""

    def release(
        self,
        registry: ModelRegistry,
        made: Task,
        *,
        alias: str = "champion",
        why: Value | str = "",
        when: ConditionValue | Value | None = None,
    ) -> Task:
        """Serve what ``registry.register`` has made under the name itself, in every run the same: its replicas are made
        and answer, then ``alias`` names it, then the Service is pointed at it. The task's output is ``url``.

        Nothing of that ends with the run: a rollback (``tiphys models rollback``) points the Service back. With
        ``when`` (a gate's verdict) all of it happens only if the condition holds; take ``task.url.optional()`` then.
        """
        if registry.name != self.name:
            raise DefinitionError(
                "TIP105",
                f"Serving({self.name!r}) releases a version of {registry.name!r}",
                where=str(caller()),
                cause="a model of the registry is served under its own name",
                fix=f"write Serving({registry.name!r})",
            )
        deployed = self.deploy_version(version=made.version, model=made.model).named(f"deploy-{self.name}")
        if when is not None:
            deployed.when(when)
        named = registry.promote(made.version, alias=alias, why=why).named(f"name-{self.name}")
        named.after(deployed, on="succeeded")
        pointed: Task = self.point(version=named.version).named(f"point-{self.name}")
        return pointed

    def publish(
        self,
        slot: str,
        name: Value | str,
        model: Value | str | Task,
        *,
        when: ConditionValue | Value | None = None,
        gate: Gate | None = None,
    ) -> Task:
        """Deploy ``model`` under ``name`` and point the slot's Service at it; the task's output is ``url``.

        With ``when`` both happen only if the condition holds, with ``gate`` only if the model passes; take
        ``task.url.optional()`` then. What the slot serves until then goes on.
        """
        check_name(slot, "a slot", caller())
        if gate is not None:
            verdict = gate.check(name=name, model=model, serving_image=self.image).named(f"gate-{slot}")
            if when is not None:
                verdict.when(when)
            when = verdict.passed  # a gate that was skipped has not passed anything
        deployed = self.deploy(name=name, model=model).named(f"deploy-{slot}")
        if when is not None:
            deployed.when(when)
        exposed: Task = (
            self.expose(slot=slot, name=name).named(f"expose-{slot}").after(deployed, on="succeeded")
        )
        return exposed

    def split(
        self,
        slot: str,
        models: Mapping[Value | str, Value | int],
        *,
        after: Task | Sequence[Task] = (),
        when: ConditionValue | Value | None = None,
    ) -> Task:
        """Share the requests to a slot's host name out among deployed models by weight: ``{"a": 90, "b": 10}`` is a
        canary. ``after``: what deploys them. The task's output is ``url``.

        The HTTPRoute is named after the served name and the slot, not after the run, and outlives it: the next run
        moves it. Raises DefinitionError TIP104 without a gateway or models, TIP109 for weights that are none.
        """
        return self._split("HTTPRoute", slot, models, after, when)

    def split_calls(
        self,
        slot: str,
        models: Mapping[Value | str, Value | int],
        *,
        after: Task | Sequence[Task] = (),
        when: ConditionValue | Value | None = None,
    ) -> Task:
        """As :meth:`split`, of gRPC calls: a GRPCRoute at the gateway's ``grpc_listener``; the output is ``target``."""
        return self._split("GRPCRoute", slot, models, after, when)

    def _split(
        self,
        kind: RouteKind,
        slot: str,
        models: Mapping[Value | str, Value | int],
        after: Task | Sequence[Task],
        when: ConditionValue | Value | None,
    ) -> Task:
        site = caller()
        check_name(slot, "a slot", site)
        found = shares(kind, self._gateway, models, site)
        key = kind, len(found)
        if key not in self._routes:
            assert self._gateway is not None
            port = self._shape.port if kind == "HTTPRoute" else self._shape.grpc_port
            self._routes[key] = route(kind, self._gateway, self.name, port, len(found))
        reached = []
        for each in found:
            task = self.reach(name=each.name).after(
                *((after,) if isinstance(after, Task) else after), on="succeeded"
            )
            reached.append(task if when is None else task.when(when))
        arguments = {
            name: value for place, each in enumerate(found, 1) for name, value in each.arguments(place)
        }
        made: Task = self._routes[key](slot=slot, **arguments).after(*reached, on="succeeded")
        return made
