"""The generated table of strategic merge: facts of the Kubernetes API reference."""

from __future__ import annotations

from tiphys.argo.patch_keys import KINDS, TYPES


def test_known_keys() -> None:
    assert TYPES["core/v1.ServiceSpec"]["ports"] == ("", "merge", "port")
    assert TYPES["core/v1.Container"]["ports"] == ("", "merge", "containerPort")
    assert TYPES["core/v1.PodSpec"]["hostAliases"] == ("", "merge", "ip")
    assert TYPES["core/v1.PodSpec"]["volumes"] == ("core/v1.Volume", "merge,retainKeys", "name")
    assert TYPES["core/v1.ServiceAccount"]["secrets"][2] == "name"
    assert TYPES["apps/v1.DeploymentSpec"]["strategy"] == ("", "retainKeys", "")
    assert TYPES["meta/v1.ObjectMeta"]["finalizers"] == ("", "merge", "")


def test_the_table_is_whole() -> None:
    held = {target for fields in TYPES.values() for target, _, _ in fields.values() if target}
    assert held <= set(TYPES)
    assert set(KINDS.values()) <= set(TYPES)  # all have metadata
    assert KINDS["v1/Service"] == "core/v1.Service" and KINDS["apps/v1/Deployment"] == "apps/v1.Deployment"
    assert not [kind for kind in KINDS if "argoproj" in kind]  # the API server merges its own kinds only
