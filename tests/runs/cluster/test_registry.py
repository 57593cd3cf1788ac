"""The registry in ConfigMaps, behind an API with the optimistic concurrency of the real one."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import pytest

from tests.registry.test_changes import BY
from tiphys.errors import ClusterError, RefusedError, StoreError
from tiphys.registry import ModelDocument, register, to_alias
from tiphys.registry.audit import PAGE, linear
from tiphys.runs import Client, FakeTransport, Request, Response
from tiphys.runs.cluster.kubernetes import Kubernetes
from tiphys.runs.cluster.registry import ClusterRegistry
from tiphys.runs.registry import Registry

BASE = "/api/v1/namespaces/team/configmaps"


class Api:
    """ConfigMaps of one namespace. ``first``: called before a PUT is looked at, once."""

    def __init__(self) -> None:
        self.maps: dict[str, dict[str, Any]] = {}
        self.versions = itertools.count(1)
        self.guard = threading.Lock()
        self.late = 0
        self.first: Any = None

    def answer(self, request: Request) -> Response:
        if request.method == "PUT" and self.first is not None:
            first, self.first = self.first, None
            first()
        with self.guard:
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        name = request.path.removeprefix(BASE).strip("/")
        there = self.maps.get(name)
        if request.method == "GET" and not name:
            label = request.query["labelSelector"]
            return Response.of(
                {"items": [item for item in self.maps.values() if label in item["metadata"]["labels"]]}
            )
        if request.method == "GET":
            return Response.of({"message": "not found"}, 404) if there is None else Response.of(there)
        body = json.loads(json.dumps(request.body))
        name = body["metadata"]["name"]
        there = self.maps.get(name)
        old = there["metadata"]["resourceVersion"] if there else None
        if body["metadata"].get("resourceVersion") != old or (there and there.get("immutable")):
            self.late += 1
            return Response.of({"message": "the object has been modified"}, 409)
        body["metadata"]["resourceVersion"] = str(next(self.versions))
        self.maps[name] = body
        return Response.of(body)

    def registry(self) -> ClusterRegistry:
        return ClusterRegistry(Kubernetes(FakeTransport(self.answer)), "team", pause=lambda seconds: None)


def one_more(registry: ClusterRegistry, who: str = "") -> ModelDocument:
    def move(document: ModelDocument) -> ModelDocument:
        if not document.versions:
            for letter in "abc":
                document, _ = register(document, letter, letter, BY)
        state = document.aliases.get("champion")
        return to_alias(document, "champion", ((state.version if state else 0) or 0) % 3 + 1, BY)

    return registry.change("m", move)


def test_writers_make_one_linear_audit_in_pages() -> None:
    api = Api()

    def write() -> None:
        registry = api.registry()
        for _ in range(60):
            one_more(registry)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = api.registry().audit("m")
    assert len(rows) == 240 and linear(rows) == ""
    assert {*api.maps} == {
        "tiphys-models-m", "tiphys-models-m.audit.000001", "tiphys-models-m.audit.000002"
    }  # fmt: skip
    assert api.registry().names() == ["m"]


def test_who_was_late_does_it_again_of_what_is_there_now() -> None:
    api = Api()
    one_more(api.registry())
    api.first = lambda: one_more(api.registry())
    after = one_more(api.registry())
    assert api.late == 1 and after.sequence == 3 and linear(api.registry().audit("m")) == ""


def test_a_page_that_somebody_made_already_is_the_same_one() -> None:
    """Killed between the page and the document: the next one finds it there."""
    api = Api()
    registry = api.registry()
    for _ in range(2 * PAGE):
        one_more(registry)
    api.first = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        one_more(registry)
    assert "tiphys-models-m.audit.000001" in api.maps
    one_more(registry)
    assert len(registry.audit("m")) == 2 * PAGE + 1 and linear(registry.audit("m")) == ""


def test_pages_of_a_model_that_was_deleted_are_not_mixed_with_those_of_another() -> None:
    api = Api()
    registry = api.registry()
    for _ in range(2 * PAGE + 1):
        one_more(registry)
    del api.maps["tiphys-models-m"]
    for _ in range(2 * PAGE):
        registry.change("m", lambda document: to_alias(register(document, "x", "x", BY)[0], "a", 1, BY))
        registry.change("m", lambda document: to_alias(document, "a", None, BY))
        if registry.read("m").sequence >= 2 * PAGE:
            break
    with pytest.raises(StoreError, match=r"TIP461.*already, with other changes"):
        registry.change("m", lambda document: to_alias(document, "a", 1, BY))


def test_a_page_that_is_gone_is_told() -> None:
    api = Api()
    for _ in range(2 * PAGE + 1):
        one_more(api.registry())
    del api.maps["tiphys-models-m.audit.000001"]
    with pytest.raises(StoreError, match="TIP461"):
        api.registry().audit("m")


def test_others_that_never_end_are_told() -> None:
    registry = ClusterRegistry(
        Kubernetes(FakeTransport(lambda request: Response.of({}, 404 if request.method == "GET" else 409))),
        "team",
        pause=lambda seconds: None,
    )
    with pytest.raises(ClusterError, match="TIP606"):
        one_more(registry)


class Served:
    """A Service that is at version 1, and Deployments of which two are ready. ``meanwhile``: called when the Service is
    written, once."""

    def __init__(self) -> None:
        self.api, self.selector, self.ready = Api(), {"tiphys.dev/model-version": "v1"}, {1: 2, 2: 1, 3: 0}
        self.labels = {"tiphys.dev/model-name": "m"}
        self.headless: dict[str, str] | None = None
        self.meanwhile: Any = None
        self.client = Client.kubernetes(transport=FakeTransport(self.answer), namespace="team")
        self.registry = Registry(client=self.client, who="me")
        for number in (1, 2, 3):
            self.registry.register("m", f"pvc://tiphys/models/{number}", digest=f"sha256:{number}")

    def answer(self, request: Request) -> Response:
        if request.path == "/api/v1/namespaces/team/services/m":
            if request.method == "PATCH":
                self.selector.update(request.body["spec"]["selector"])  # type: ignore[index]
                meanwhile, self.meanwhile = self.meanwhile, None
                if meanwhile is not None:
                    meanwhile()
            return Response.of({"metadata": {"labels": self.labels}, "spec": {"selector": self.selector}})
        if request.path == "/api/v1/namespaces/team/services/m-grpc":
            if self.headless is None:
                return Response.of({}, 404)
            if request.method == "PATCH":
                self.headless.update(request.body["spec"]["selector"])  # type: ignore[index]
            return Response.of({"metadata": {"labels": self.labels}, "spec": {"selector": self.headless}})
        if "/deployments/" in request.path:
            number = int(request.path.rpartition("/m-v")[2])
            if number not in self.ready:
                return Response.of({}, 404)
            return Response.of({"status": {"readyReplicas": self.ready[number]}})
        return self.api.answer(request)


def test_the_service_of_the_name_follows_the_champion_to_versions_that_are_ready() -> None:
    served = Served()
    served.registry.alias("m", "champion", 1)
    served.registry.alias("m", "champion", 2)
    assert served.selector == {"tiphys.dev/model-version": "v2"}
    served.registry.rollback("m", "champion")
    assert served.selector == {"tiphys.dev/model-version": "v1"}
    served.registry.alias("m", "next", 3)  # no Service asks for that one
    with pytest.raises(RefusedError, match="TIP263") as caught:
        served.registry.alias("m", "champion", 3)
    assert caught.value.cause == "no replica of the Deployment m-v3 is ready"
    del served.ready[2]
    with pytest.raises(RefusedError, match="TIP263"):
        served.registry.alias("m", "champion", 2)
    assert served.selector == {"tiphys.dev/model-version": "v1"}


def test_the_headless_service_follows_too() -> None:
    served = Served()
    served.headless = {"tiphys.dev/model-version": "v1"}
    served.registry.alias("m", "champion", 2)
    assert served.selector == served.headless == {"tiphys.dev/model-version": "v2"}


def test_when_the_alias_moves_on_meanwhile_the_service_does_too() -> None:
    served = Served()
    other = Registry(client=served.client, who="other")
    served.meanwhile = lambda: served.registry._kept.change("m", lambda was: to_alias(was, "champion", 1, BY))
    other.alias("m", "champion", 2)
    assert served.selector == {"tiphys.dev/model-version": "v1"}


def test_a_service_of_somebody_else_is_left_alone() -> None:
    served = Served()
    served.labels = {}
    served.registry.alias("m", "champion", 3)
    assert served.selector == {"tiphys.dev/model-version": "v1"}
