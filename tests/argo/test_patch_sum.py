"""One patch for two: a pod that is patched with it is the pod that is patched with one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.argo.patch import POD_SPEC, strategic
from tiphys.argo.patch_sum import patch_sum

POD: dict[str, Any] = {
    "containers": [
        {"name": "main", "image": "a", "env": [{"name": "X", "value": "1"}]},
        {"name": "wait", "image": "executor", "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "spot"}],
    "nodeSelector": {"pool": "small"},
    "dnsPolicy": "ClusterFirst",
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
}
PATCHES: list[dict[str, Any]] = [
    {},
    {"dnsPolicy": "Default", "nodeSelector": {"gpu": "yes"}},
    {"dnsPolicy": None, "nodeSelector": {"pool": None}},
    {"containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}]},
    {
        "containers": [
            {"name": "main", "resources": {"limits": {"cpu": "1"}}, "env": [{"name": "X", "value": "2"}]}
        ]
    },
    {"containers": [{"name": "wait", "volumeMounts": [{"name": "w", "mountPath": "/w"}]}, {"name": "new"}]},
    {"containers": [{"name": "main", "env": [{"name": "Y", "value": "3"}], "args": ["a", "b"]}]},
    {"volumes": [{"name": "w", "emptyDir": {"medium": "Memory"}}], "tolerations": [{"key": "gpu"}]},
    {"volumes": [{"name": "w", "secret": {"secretName": "s"}}, {"name": "v", "$patch": "delete"}]},
    {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["b"]}, {"ip": "10.0.0.2", "hostnames": ["c"]}]},
]


@pytest.mark.parametrize("first", PATCHES)
@pytest.mark.parametrize("second", PATCHES)
def test_it_does_what_both_do(first: dict[str, Any], second: dict[str, Any]) -> None:
    one_after_the_other = strategic(strategic(POD, first, POD_SPEC), second, POD_SPEC)
    assert _sorted(strategic(POD, patch_sum(first, second, POD_SPEC), POD_SPEC)) == _sorted(
        one_after_the_other
    )


def test_the_patches_are_left_alone() -> None:
    first, second = {"containers": [{"name": "main"}]}, {"containers": [{"name": "main", "image": "b"}]}
    assert patch_sum(first, second, POD_SPEC) == second  # type: ignore[arg-type]
    assert first == {"containers": [{"name": "main"}]}


def _sorted(value: Any) -> Any:
    """The order of items with a name says nothing."""
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=repr)
    return value
