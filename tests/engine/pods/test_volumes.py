"""Volumes that are filled: files and their modes as the kubelet makes them (the API reference of Kubernetes' volumes).

A source of a ``projected`` volume has no ``defaultMode`` of its own: it is the volume's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import execute, log, node, shell, workflow

GIVEN = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"t": "3"}},
]
NAME = {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}
PRIVATE = {"path": "p", "mode": 0o600, "fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize(
    ("volume", "modes"),
    [
        ({"configMap": {"name": "c"}}, "a 644 b 644"),
        ({"configMap": {"name": "c", "defaultMode": 0o400}}, "a 400 b 400"),
        ({"secret": {"secretName": "s", "items": [{"key": "t", "path": "x", "mode": 0o440}]}}, "x 440"),
        ({"projected": {"sources": [{"configMap": {"name": "c"}}]}}, "a 644 b 644"),
        (
            {
                "projected": {
                    "defaultMode": 0o400,
                    "sources": [
                        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
                        {"secret": {"name": "s", "items": [{"key": "t", "path": "t", "mode": 0o444}]}},
                        {"downwardAPI": {"items": [NAME, PRIVATE]}},
                    ],
                }
            },
            "a 400 n 400 p 600 t 444",
        ),
        ({"downwardAPI": {"items": [NAME, PRIVATE]}}, "n 644 p 600"),
        ({"downwardAPI": {"defaultMode": 0o440, "items": [NAME, PRIVATE]}}, "n 440 p 600"),
    ],
)
def test_files_have_the_modes_of_their_volume(volume: dict[str, object], modes: str, tmp_path: Path) -> None:
    main = shell("main", "cd /v && stat -L -c '%n %a' * | xargs")
    main["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    result = execute(tmp_path, workflow(main, volumes=[{"name": "v", **volume}]), context=GIVEN)
    assert result.succeeded, result.message
    assert log(result, result.name).strip() == modes


def test_the_downward_api_tells_the_resources_of_a_named_container(tmp_path: Path) -> None:
    """``containerName`` is "required for volumes, optional for env vars"; values are in units of ``divisor``."""
    limits = {"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}
    items = [
        {"path": "cpu", "resourceFieldRef": reference("main", "limits.cpu", "1m")},
        {"path": "memory", "resourceFieldRef": reference("main", "requests.memory", "1Mi")},
        {"path": "side", "resourceFieldRef": reference("side", "limits.cpu", "1")},
    ]
    main = shell("main", "cd /v && cat cpu; echo; cat memory; echo; cat side; echo; echo $OWN $SIDES")
    main["container"] |= {
        **limits,
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "env": [
            {"name": "OWN", "valueFrom": {"resourceFieldRef": reference("", "limits.cpu", "1m")}},
            {"name": "SIDES", "valueFrom": {"resourceFieldRef": reference("side", "limits.cpu", "1")}},
        ],
    }
    side = shell("side", "true")["container"]
    main["sidecars"] = [{"name": "side", **side, "resources": {"limits": {"cpu": "3"}}}]
    result = execute(tmp_path, workflow(main, volumes=[{"name": "v", "downwardAPI": {"items": items}}]))
    assert result.succeeded, result.message
    assert log(result, result.name).split() == ["500", "64", "3", "500", "3"]


def test_a_container_that_the_pod_does_not_have(tmp_path: Path) -> None:
    item = {"path": "cpu", "resourceFieldRef": reference("other", "limits.cpu", "1")}
    main = shell("main", "true")
    main["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    result = execute(tmp_path, workflow(main, volumes=[{"name": "v", "downwardAPI": {"items": [item]}}]))
    assert node(result, result.name)["phase"] == "Error"
    assert "other" in result.message


def reference(container: str, resource: str, divisor: str) -> dict[str, str]:
    found = {"resource": resource, "divisor": divisor}
    return {"containerName": container, **found} if container else found
