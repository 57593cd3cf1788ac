"""``queue.toml`` as objects of Kueue. A real API server and a real Kueue take them in tests/cluster/test_kueue.py."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.queueing import KUEUE
from tests.cluster.upstream import fields
from tiphys.argo.quantity import whole_quantity
from tiphys.errors import RefusedError
from tiphys.queue.kueue import apportioned, kueue_name, kueue_objects
from tiphys.queue.rules import parse_rules

CLUSTER = """
[cluster]
namespace = "ml"
cohort = "research"
cpu = "64"
memory = "256Gi"
"nvidia.com/gpu" = 8
"""
NINE = f"""
[groups]
vision = 3
text = 2
audio = 0.5
{CLUSTER}
[classes]
urgent = 10
night = -5
""" + "".join(
    f"[users.{name}]\ngroup = '{group}'\nweight = {weight}\nhighest = {weight}\n"
    for group, names in (("vision", "abc"), ("text", "de"), ("audio", "fghi"))
    for weight, name in enumerate(names, 1)
)  # fmt: skip
PATH = Path("queue.toml")


def objects(text: str) -> dict[str, list[Any]]:
    """By kind."""
    found: dict[str, list[Any]] = {}
    for item in kueue_objects(parse_rules(text, PATH), PATH)[0]:
        found.setdefault(str(item["kind"]), []).append(item)
    return found


def notes(text: str) -> list[str]:
    return kueue_objects(parse_rules(text, PATH), PATH)[1]


def quota(queue: Any, resource: str) -> str:
    (flavor,) = queue["spec"]["resourceGroups"][0]["flavors"]
    return next(str(each["nominalQuota"]) for each in flavor["resources"] if each["name"] == resource)


def test_a_group_is_a_cluster_queue_and_a_user_a_local_queue() -> None:
    made = objects(NINE)
    queues = {item["metadata"]["name"]: item["spec"] for item in made["ClusterQueue"]}
    assert list(queues) == ["research-audio", "research-text", "research-vision"]
    vision = queues["research-vision"]
    assert vision["cohortName"] == "research" and vision["fairSharing"] == {"weight": "3"}
    assert vision["preemption"] == {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"}
    assert vision["admissionScope"] == {"admissionMode": "UsageBasedAdmissionFairSharing"}
    assert queues["research-audio"]["fairSharing"] == {"weight": "0.5"}
    seats = {item["metadata"]["name"]: item for item in made["LocalQueue"]}
    assert sorted(seats) == list("abcdefghi")
    assert seats["c"]["metadata"]["namespace"] == "ml"
    assert seats["c"]["spec"] == {"clusterQueue": "research-vision", "fairSharing": {"weight": "3"}}
    values = {item["metadata"]["name"]: item["value"] for item in made["WorkloadPriorityClass"]}
    assert values == {"night": -5, "urgent": 10}


@pytest.mark.parametrize(("resource", "unit"), [("cpu", "m"), ("memory", ""), ("nvidia.com/gpu", "")])
def test_the_shares_are_all_of_the_cluster(resource: str, unit: str) -> None:
    total = {"cpu": 64000, "memory": 2**38, "nvidia.com/gpu": 8}[resource]
    parts = [whole_quantity(quota(item, resource), unit) for item in objects(NINE)["ClusterQueue"]]
    assert sum(parts) == total
    for part, weight in zip(parts, (0.5, 2, 3), strict=True):
        assert abs(part - total * weight / 5.5) < 1


@given(
    total=st.integers(0, 2**63 - 1),
    weights=st.lists(st.fractions(Fraction(1, 10**6), 10**6), min_size=1, max_size=20),
)
def test_nothing_is_lost_or_made(total: int, weights: list[Fraction]) -> None:
    parts = apportioned(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1


def test_what_is_left_over_goes_to_the_largest_remainders() -> None:
    assert apportioned(8, [Fraction(1), Fraction(1), Fraction(3)]) == [2, 1, 5]
    assert apportioned(1, [Fraction(1), Fraction(2)]) == [0, 1]


def test_who_has_no_group_is_one_of_his_own() -> None:
    made = objects(f"[groups]\nvision = 3\n[users.anna]\ngroup = 'vision'\n[users.bo]\n{CLUSTER}")
    assert [quota(item, "cpu") for item in made["ClusterQueue"]] == ["16", "48"]
    assert [item["spec"]["clusterQueue"] for item in made["LocalQueue"]] == ["research-bo", "research-vision"]


def test_a_user_may_have_a_namespace_of_his_own() -> None:
    text = (
        f"[groups]\nv = 1\n[users.anna]\ngroup = 'v'\nnamespace = 'ml-anna'\n[users.bo]\ngroup = 'v'{CLUSTER}"
    )
    made = objects(text)
    assert [item["metadata"]["namespace"] for item in made["LocalQueue"]] == ["ml-anna", "ml"]
    (selector,) = made["ClusterQueue"][0]["spec"]["namespaceSelector"]["matchExpressions"]
    assert selector["values"] == ["ml", "ml-anna"]


def test_names_that_kubernetes_refuses_become_others_and_no_two_the_same() -> None:
    names = [
        "anna",
        "Anna",
        "a.nna",
        "anna@x",
        "anna.x",
        "ANNA@X",
        "@",
        "",
        "ü",
        "a" * 63,
        "a" * 64,
        "a" * 65,
        "-a",
        "a-",
    ]
    made = [kueue_name(name) for name in names]
    assert made[0] == "anna" and made[9] == "a" * 63
    assert len(set(made)) == len(names)
    for name in made:
        assert name.isascii() and name == name.lower() and len(name) <= 63 and name.strip("-") == name
        assert name.replace("-", "").isalnum()
    assert kueue_name("Anna@x").startswith("anna-x-")
    assert kueue_name("default").startswith("default-")


def test_what_a_cluster_cannot_be_told_is_noted() -> None:
    text = f"[pools]\ntraining = 8\n[groups]\nbig = 1000\nsmall = 1\n[users.'Bo@x']\n[others]\nhighest = 0{CLUSTER}"
    said = notes(text)
    for start in (
        "pools.training: ",
        "others: ",
        "users.Bo@x: his queue there is bo-x-",
        "groups.small: its share of nv",
    ):
        assert [each for each in said if each.startswith(start)], start
    (classes,) = notes(NINE.replace("0.5", "2"))
    assert classes.startswith("classes: shares come first")
    assert notes(f"[users.anna]{CLUSTER}") == []


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("[groups]\nv = 1", "cluster", "no such table"),
        (CLUSTER, "groups", "neither a group nor a user"),
        (f"[groups]\nanna = 1\n[users.anna]\n{CLUSTER}", "users.anna", "as that of groups.anna"),
        (f"[users.a]\naccount = 'b'\n[users.b]\n{CLUSTER}", "users.b", "the account b is that of users.a"),
        (f"[users.'A']\n[users.{kueue_name('A')}]\n{CLUSTER}", f"users.{kueue_name('A')}", "the queue"),
    ],
)
def test_what_cannot_be_compiled_is_told_with_the_file_and_the_key(text: str, key: str, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        objects(text)
    assert (caught.value.code, caught.value.where) == ("TIP286", "queue.toml")
    assert caught.value.message.startswith(f"{key}: ") and said in caught.value.message


def test_the_order_of_the_file_does_not_count() -> None:
    first = f"[users.a]\n[users.b]\n[groups]\nx = 1\ny = 2\n{CLUSTER}"
    second = f"{CLUSTER}[groups]\ny = 2\nx = 1\n[users.b]\n[users.a]\n"
    assert objects(first) == objects(second)


def test_the_fields_are_those_of_kueues_own_definitions() -> None:
    """As queueing.py has them, which test_queueing.py holds against the project's."""
    schemas = {
        item["spec"]["names"]["kind"]: item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for item in KUEUE
    }
    for kind, items in objects(NINE).items():
        if kind in schemas and "spec" in schemas[kind]["properties"]:
            known = set(fields(schemas[kind]["properties"]["spec"]))
            assert {path for item in items for path in _paths(item.get("spec", {}), "spec")} <= known


def _paths(value: object, path: str) -> set[str]:
    if isinstance(value, dict):
        return {path}.union(*(_paths(inner, f"{path}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return {path}.union(*(_paths(inner, f"{path}[]") for inner in value))
    return {path}
