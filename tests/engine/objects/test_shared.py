"""ConfigMaps of the registry outlive runs, and the resourceVersion is the lock, as the API server's is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, workflow
from tests.registry.test_changes import moved, three
from tiphys.argo.answers import ApiError
from tiphys.engine.objects.kinds import Kind
from tiphys.engine.objects.shared import get_shared, is_shared, put_shared
from tiphys.errors import StoreError
from tiphys.registry.audit import PAGE, full_page
from tiphys.registry.configmap import document_map, page_object
from tiphys.store import Store
from tiphys.store.registry import LocalRegistry

MAP = Kind("ConfigMap", "", ("v1",), ("configmaps",))
BARE: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tiphys-models-fashion"}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, action: str, manifest: Any) -> Any:
    return put_shared(store, MAP, action, manifest)


def test_which_are_shared() -> None:
    assert is_shared(MAP, "tiphys-models-m") and is_shared(MAP, "tiphys-models-m.audit.000001")
    assert not is_shared(MAP, "mine") and not is_shared(
        Kind("Secret", "", ("v1",), ("secrets",)), "tiphys-models-m"
    )


def test_who_was_late_is_refused_in_kubectls_words(store: Store) -> None:
    first = put(store, "apply", BARE)
    assert put(store, "apply", BARE) == first and first["data"] == {"document": ""}
    version = first["metadata"]["resourceVersion"]
    second = put(store, "replace", document_map(three(), version))
    assert second["metadata"]["resourceVersion"] != version
    with pytest.raises(ApiError) as caught:
        put(store, "replace", document_map(moved(three(), 1), version))
    assert str(caught.value) == (
        'Error from server (Conflict): Operation cannot be fulfilled on configmaps "tiphys-models-fashion": the object '
        "has been modified; please apply your changes to the latest version and try again"
    )
    assert LocalRegistry(store).read("fashion") == three()
    put(store, "replace", document_map(moved(three(), 1)))  # without a version: whatever is there
    assert get_shared(store, MAP, "tiphys-models-fashion")["metadata"]["resourceVersion"] == "3"


def test_what_is_not_there_and_what_is(store: Store) -> None:
    for ask in (
        lambda: get_shared(store, MAP, BARE["metadata"]["name"]),
        lambda: put(store, "replace", BARE),
    ):
        with pytest.raises(ApiError, match="not found"):
            ask()
    put(store, "create", document_map(three()))
    with pytest.raises(ApiError, match="already exists"):
        put(store, "create", document_map(three()))
    with pytest.raises(StoreError, match="TIP461"):
        put(store, "replace", {**BARE, "data": {"document": "{}"}})


def test_a_page_is_made_once(store: Store) -> None:
    document = three()
    for number in range(2 * PAGE + 1):
        document = moved(document, number % 3 + 1)
    page, _ = full_page(document)
    assert page is not None
    manifest: Any = page_object("fashion", page)
    assert put(store, "apply", manifest) == put(store, "apply", manifest)
    assert get_shared(store, MAP, "tiphys-models-fashion.audit.000001")["data"]["document"] == page.text  # type: ignore[typeddict-item]
    other = json.loads(page.text)
    other[0]["why"] = "another"
    manifest["data"]["document"] = json.dumps(other)
    with pytest.raises(ApiError, match="immutable"):
        put(store, "apply", manifest)


def test_who_was_late_is_refused_of_any_object(tmp_path: Path) -> None:
    def step(name: str, action: str, version: str) -> dict[str, Any]:
        metadata = {"name": "mine", **({"resourceVersion": version} if version else {})}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"by": name}}
        outputs = {"parameters": [{"name": "v", "valueFrom": {"jsonPath": "{.metadata.resourceVersion}"}}]}
        return {
            "name": name, "inputs": {"parameters": [{"name": "v", "value": ""}]}, "outputs": outputs,
            "resource": {"action": action, "manifest": json.dumps(manifest)},
        }  # fmt: skip

    def call(name: str) -> list[dict[str, Any]]:
        value = "{{steps.first.outputs.parameters.v}}"
        return [
            {"name": name, "template": name, "arguments": {"parameters": [{"name": "v", "value": value}]}}
        ]

    main = {"name": "main", "steps": [[{"name": "first", "template": "first"}], call("second"), call("late")]}
    given = "{{inputs.parameters.v}}"
    steps = [step("first", "create", ""), step("second", "replace", given), step("late", "replace", given)]
    result = execute(tmp_path, workflow(main, *steps))
    said = {each["displayName"]: each for each in result.workflow["status"]["nodes"].values()}
    assert said["second"]["phase"] == "Succeeded" and said["late"]["phase"] == "Failed"
    assert '(Conflict): Operation cannot be fulfilled on configmaps "mine"' in said["late"]["message"]
