"""The policies of who may use which queue and class. A real API server says whether they hold (tests/cluster)."""

from __future__ import annotations

import json
from typing import Any

from tiphys.queue.admission import Seat, policies
from tiphys.queue.rules import Cluster, Member, Rules

CLUSTER = Cluster("ml", "ml", {})
SEATS = [Seat("anna", "anna@x", "ml", "anna", 10), Seat("bo", "bo", "ml-bo", "bo", None)]
RULES = Rules(others=Member(highest=0), classes={"urgent": 10})


def made(seats: list[Seat] = SEATS, rules: Rules = RULES) -> dict[str, dict[str, Any]]:
    found = {}
    for item in policies(CLUSTER, seats, rules):
        found[f"{item['kind']}/{item['metadata']['name']}"] = dict(item["spec"])  # type: ignore[index, arg-type]
    return found


def test_each_policy_is_bound_and_refuses() -> None:
    found = made()
    assert sorted(found) == sorted(
        f"{kind}/{name}"
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        for name in ("ml-classes", "ml-workflows")
    )
    for name in ("ml-classes", "ml-workflows"):
        binding = found[f"ValidatingAdmissionPolicyBinding/{name}"]
        assert binding == {"policyName": name, "validationActions": ["Deny"]}
        policy = found[f"ValidatingAdmissionPolicy/{name}"]
        assert policy["failurePolicy"] == "Fail"
        (selector,) = policy["matchConstraints"]["namespaceSelector"]["matchExpressions"]
        assert selector["values"] == ["ml", "ml-bo"]


def test_a_name_cannot_leave_its_string() -> None:
    """Names come from a file that an administrator writes; they are data in an expression, and nothing else."""
    hostile = 'a" || true || "\\\' \n'
    found = made([Seat(hostile, hostile, "ml", "a", 0)])
    assert json.dumps({"ml/a": hostile}) in str(
        {v["name"]: v["expression"] for v in found["ValidatingAdmissionPolicy/ml-classes"]["variables"]}[
            "user"
        ]
    )


def test_without_users_the_namespace_is_that_of_the_cluster() -> None:
    (selector,) = made([])["ValidatingAdmissionPolicy/ml-classes"]["matchConstraints"]["namespaceSelector"][
        "matchExpressions"
    ]
    assert selector["values"] == ["ml"]
