"""What the server says of itself, read by the official client."""

from __future__ import annotations

import kubernetes

from tiphys.server.kube import discovery


def test_a_client_finds_what_there_is() -> None:
    kinds = kubernetes.client.V1APIResourceList.from_dict(
        discovery.resources("argoproj.io/v1alpha1", discovery.ARGO)
    )
    found = {each.name: each for each in kinds.resources}
    assert found["workflows"].kind == "Workflow"
    assert found["workflows"].short_names == ["wf"]
    assert {"create", "delete", "watch"} <= set(found["workflows"].verbs)
    assert not found["clusterworkflowtemplates"].namespaced
    core = kubernetes.client.V1APIResourceList.from_dict(discovery.resources("v1", discovery.CORE))
    assert {"pods", "pods/log", "namespaces"} <= {each.name for each in core.resources}


def test_only_groups_that_can_be_asked_are_named() -> None:
    groups = kubernetes.client.V1APIGroupList.from_dict(discovery.api_groups())
    assert [each.name for each in groups.groups] == ["argoproj.io"]
    assert groups.groups[0].preferred_version.version == "v1alpha1"
    assert kubernetes.client.VersionInfo.from_dict(
        {
            **discovery.version(),
            "buildDate": "",
            "compiler": "",
            "gitCommit": "",
            "gitTreeState": "",
            "goVersion": "",
        }
    ).major
