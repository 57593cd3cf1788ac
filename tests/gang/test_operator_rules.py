"""What the operator's webhooks ask of all kinds."""

from __future__ import annotations

import pytest

from tiphys.argo.answers import ApiError
from tiphys.gang.operator_rules import container_problems, denied, name_of, name_problems


@pytest.mark.parametrize(
    ("name", "legal"), [("a", True), ("a" * 63, True), ("a" * 64, False), ("0a", False), ("a-", False)]
)
def test_a_name_is_a_label_that_begins_with_a_letter(name: str, legal: bool) -> None:
    assert bool(name_problems(name)) is not legal


def test_a_made_name_is_as_long_as_it_will_be() -> None:
    assert name_of({"generateName": "train-"}).startswith("train-")
    assert len(name_of({"generateName": "a" * 80})) <= 63
    assert name_of({}) == ""


@pytest.mark.parametrize(
    "replica", [None, {}, {"template": None}, {"template": {"spec": {"containers": []}}}]
)
def test_a_replica_has_containers(replica: object) -> None:
    (problem,) = container_problems("TFJob", "n", "path", replica, "tensorflow")  # type: ignore[arg-type]
    assert problem == "path.template.spec.containers: Required value: must be specified"


def test_problems_are_told_together() -> None:
    denied("TFJob", [])
    with pytest.raises(ApiError, match="denied the request: a, b"):
        denied("TFJob", ["a", "b"])
