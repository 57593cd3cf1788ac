"""Fields of a pod, as Kubernetes has them."""

from __future__ import annotations

import json

import pytest
from hera.workflows.models import Affinity, NodeAffinity

from tiphys.compiler.line import Site
from tiphys.dsl.pod_fields import check_pod
from tiphys.errors import DefinitionError

SITE = Site("pipeline.py", 7)


@pytest.mark.parametrize(
    "given",
    [
        {"dnsPolicy": "Default", "shareProcessNamespace": True},
        {
            "containers": [
                {"name": "main", "resources": {"limits": {"memory": "{{inputs.parameters.memory}}"}}}
            ]
        },
        {"volumes": [{"name": "x", "$patch": "delete"}], "nodeSelector": None},
    ],
)
def test_what_a_pod_has_is_taken_as_it_is(given: dict[str, object]) -> None:
    assert json.loads(check_pod(given, "patch", SITE)) == given


def test_objects_of_heras_are_taken() -> None:
    text = check_pod({"affinity": Affinity(node_affinity=NodeAffinity())}, "affinity", SITE)
    assert json.loads(text) == {"affinity": {"nodeAffinity": {}}}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"dnsPolcy": "Default"}, "TIP103", 'Did you mean "dnsPolicy"'),
        ({"containers": [{"name": "main", "resource": {}}]}, "TIP103", "containers"),
        ({"hostNetwork": "yes"}, "TIP105", "hostNetwork"),
        ({"containers": {"name": "main"}}, "TIP105", "a list"),
        ({"dnsPolicy": object()}, "TIP119", "cannot be written"),
    ],
)
def test_what_a_pod_has_not_is_refused(given: dict[str, object], code: str, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_pod(given, "patch", SITE)
    assert caught.value.code == code
    assert words.replace('"', "'") in str(caught.value).replace('"', "'")
    assert caught.value.where == "pipeline.py:7"
