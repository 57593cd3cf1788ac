"""Patches beside what Kubernetes' own code answered (recorded by record.py)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.argo.patch import (
    POD_SPEC,
    TEMPLATE,
    PatchError,
    apply_patch,
    strategic,
    three_way,
    type_of,
    without_nulls,
)

Json = Any
RECORDED: list[Json] = json.loads((Path(__file__).parent / "patch.json").read_text(encoding="utf-8"))
TYPES = {
    "Service": "core/v1.Service",
    "Pod": "core/v1.Pod",
    "PodSpec": POD_SPEC,
    "Deployment": "apps/v1.Deployment",
    "ServiceAccount": "core/v1.ServiceAccount",
    "ConfigMap": "core/v1.ConfigMap",
    "Template": TEMPLATE,
}


INVALID = "The request is invalid: the server rejected our request due to an error in our request"
BAD = "Error from server (BadRequest): "


def ours(asked: Json) -> Json:
    original, patch = copy.deepcopy(asked["original"]), copy.deepcopy(asked["patch"])
    try:
        if asked["ask"] == "strategic":
            return strategic(original, patch, TYPES[asked["kind"]])
        return three_way(original, json.loads(asked["text"]), patch, TYPES[asked["kind"]])
    except PatchError:
        return "refused"
    finally:
        assert (original, patch) == (asked["original"], asked["patch"]), "what was given is changed"


@pytest.mark.parametrize("kind", ["strategic", "apply"])
def test_as_kubernetes_answers(kind: str) -> None:
    asked = [item for item in RECORDED if item["ask"] == kind]
    assert len(asked) > 100
    for item in asked:
        wanted = item.get("is", "refused")
        assert ours(item) == (decoded(wanted) if kind == "apply" else wanted), item


def decoded(value: Json) -> Json:
    """What the server's decoder leaves of an object: kubectl's patches leave nulls and directives in it."""
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items() if item is not None and key[0] != "$"}
    return [decoded(item) for item in value] if isinstance(value, list) else value


def service(*ports: Json) -> Json:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports)}}


def test_ports_of_a_service_are_keyed_by_port() -> None:
    rest = {"name": "rest", "port": 8501}
    patched = apply_patch(service({"port": 8500}), {"spec": {"ports": [rest]}}, "strategic")
    assert patched["spec"]["ports"] == [rest, {"port": 8500}]


def test_what_is_not_kubernetes_own_has_no_strategic_merge() -> None:
    job = {"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "spec": {"a": 1}}
    assert type_of(job) == ""
    assert apply_patch(job, {"spec": {"a": 2}}, "merge")["spec"] == {"a": 2}
    assert three_way(job, {"spec": {"b": [1]}}, {"spec": {"a": [1]}})["spec"] == {"a": [1]}


@pytest.mark.parametrize(
    ("patch", "strategy"),
    [
        ([1], "strategic"),
        ("text", "merge"),
        ({"op": "add"}, "json"),
        (["add"], "json"),
        ([{"op": "add", "path": 1}], "json"),
        ([{"op": "replace", "path": ""}], "json"),
        ([{"op": "replace", "path": "", "value": []}], "json"),
        ({"spec": {"ports": [{"name": "no port"}]}}, "strategic"),
        ({"spec": {"ports": [[1]]}}, "strategic"),
        ({"spec": {"$setElementOrder/ports": 1}}, "strategic"),
        ({"spec": {"ports": [{"port": 1}, 2]}}, "strategic"),
        ({"spec": {"ports": [{"port": 1, "$patch": "else"}]}}, "strategic"),
        ({"$patch": "else"}, "strategic"),
        ({"$retainKeys": ["kind"], "metadata": {}}, "strategic"),
        ({"spec": {"$setElementOrder/ports": [{"port": 1}], "ports": [{"port": 2}]}}, "strategic"),
    ],
)
def test_what_is_no_patch(patch: Json, strategy: str) -> None:
    with pytest.raises(PatchError):
        apply_patch(service({"port": 8500}), patch, strategy)


def test_what_a_patch_takes_away() -> None:
    item = {"a": 1, "args": ["x", "y", "z"], "env": [{"name": "n"}], "resources": {"limits": {"cpu": "1"}}}
    container = "core/v1.Container"
    assert strategic(item, {"$retainKeys": ["a"], "a": 2}, container) == {"a": 2}
    assert strategic(
        {}, {"env": [{"name": "n", "$patch": "delete"}], "b": {"$patch": "delete"}}, container
    ) == {"env": []}
    assert strategic(item, {"$deleteFromPrimitiveList/args": ["y"]}, container)["args"] == ["x", "z"]
    assert strategic(item, {"resources": {"$patch": "replace", "a": 1}}, container)["resources"] == {"a": 1}
    assert strategic(item, {"resources": {"$patch": "delete"}}, container)["resources"] == {}


def test_nulls_in_what_is_applied_remove() -> None:
    current, last = service({"port": 1}, {"port": 2}), service({"port": 2}, {"port": 3})
    found = three_way(current, last, {**service({"port": 4}), "metadata": None}, type_of(current))
    assert found == {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 4}, {"port": 1}]}}


@pytest.mark.parametrize(
    ("patch", "strategy", "words"),
    [  # what kubectl 1.33 printed
        (
            [{"op": "test", "path": "/metadata/name", "value": "t"}],
            "json",
            INVALID,
        ),
        (
            {"op": "remove"},
            "json",
            BAD
            + "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            {"spec": {"ports": [{"name": "rest"}]}},
            "strategic",
            "Error from server: map: map[name:rest] does not contain declared merge key: port",
        ),
        (
            [1],
            "strategic",
            BAD + "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            [1],
            "merge",
            BAD
            + "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            {"$patch": "else"},
            "strategic",
            "Error from server: unknown patch type: else in map: map[$patch:else]",
        ),
    ],
)
def test_refusals_are_in_kubectls_words(patch: Json, strategy: str, words: str) -> None:
    with pytest.raises(PatchError) as raised:
        apply_patch(service({"port": 8500}), patch, strategy)
    assert str(raised.value) == words


def test_what_is_not_kubernetes_own_is_refused_in_kubectls_words() -> None:
    with pytest.raises(PatchError) as raised:
        apply_patch({"apiVersion": "kubeflow.org/v1", "kind": "TFJob"}, {"spec": {"a": 1}}, "strategic")
    assert str(raised.value) == (
        "error: application/strategic-merge-patch+json is not supported by kubeflow.org/v1, Kind=TFJob: the body of "
        "the request was in an unknown format - accepted media types include: application/json-patch+json, "
        "application/merge-patch+json, application/apply-patch+yaml"
    )


def test_lists_of_lists_have_no_merge() -> None:
    with pytest.raises(PatchError, match="lists of lists"):
        strategic({"env": [[1]]}, {"env": [[2]]}, "core/v1.Container")


def test_a_list_whose_key_nobody_knows_cannot_be_merged() -> None:
    with pytest.raises(PatchError, match="without merge key"):
        strategic({"a": [{"b": 1}]}, {"$deleteFromPrimitiveList/a": [{"b": 1}]}, POD_SPEC)


def test_keys_of_pods() -> None:
    pod = {"hostAliases": [{"ip": "1"}], "imagePullSecrets": [{"name": "a"}], "tolerations": [{"key": "k"}]}
    patch = {"hostAliases": [{"ip": "2"}], "imagePullSecrets": [{"name": "b"}], "tolerations": [{"key": "l"}]}
    assert strategic(pod, patch, POD_SPEC) == {
        "hostAliases": [{"ip": "2"}, {"ip": "1"}],
        "imagePullSecrets": [{"name": "b"}, {"name": "a"}],
        "tolerations": [{"key": "l"}],  # no key in Kubernetes
    }


def test_nulls_of_lists_stay() -> None:
    assert without_nulls({"a": [None, {"b": None}], "c": None}) == {"a": [None, {}]}
