"""Names and paths of a pod that Kubernetes refuses, in its words (pkg/apis/core/validation)."""

from __future__ import annotations

import pytest

from tiphys.argo.paths import bad_keys, key_problem, label_problem, local_problem, refused, subpath_problem

BACK = "must not contain '..'"
LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            label_problem,
            ["a", "a-b", "0", "x" * 63],
            ["", "A", "a_b", "-a", "a-", "../x", "a/b", "a.b", "x" * 64],
        ),
        (
            key_problem,
            ["a", "a.b", ".a", "A_b-c", "x" * 253],
            ["", ".", "..", "..a", "/a", "a/b", "ä", "x" * 254],
        ),
        (local_problem, ["a", "a/b", ".a", "a..b", "a/..b"], ["", "/a", "..", "a/../b", "a/..", "..a"]),
        (subpath_problem, ["a", "a/b", "./a", "..a"], ["/a", "..", "a/../b", "../a"]),
    ],
)
def test_what_kubernetes_takes_and_what_not(check: object, good: list[str], bad: list[str]) -> None:
    assert callable(check)
    assert [each for each in good if check(each)] == []
    assert [each for each in bad if not check(each)] == []


def spec(**pod: object) -> dict[str, object]:
    return {"templates": [{"name": "m", "container": {"image": "a"}, **pod}]}


@pytest.mark.parametrize(
    ("given", "where", "says"),
    [
        ({"volumes": [{"name": "../v", "emptyDir": {}}]}, ("volumes", 0, "name"), LABEL),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
            ("volumes", 0, "hostPath", "path"),
            BACK,
        ),
        (
            {
                "volumes": [
                    {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../p"}]}}
                ]
            },
            ("volumes", 0, "secret", "items", 0, "path"),
            BACK,
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "projected": {
                            "sources": [
                                {"downwardAPI": {"items": [{"path": "/p"}]}},
                            ]
                        },
                    }
                ]
            },
            ("volumes", 0, "projected", "sources", 0, "downwardAPI", "items", 0, "path"),
            "must be a relative path",
        ),
        (spec(sidecars=[{"name": "a/b"}]), ("templates", 0, "sidecars", 0, "name"), LABEL),
        (spec(initContainers=[{"name": ".."}]), ("templates", 0, "initContainers", 0, "name"), LABEL),
        (
            spec(containerSet={"containers": [{"name": "A"}]}),
            ("templates", 0, "containerSet", "containers", 0, "name"),
            LABEL,
        ),
        (
            spec(container={"env": [{"name": "A=B"}]}),
            ("templates", 0, "container", "env", 0, "name"),
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
        ),
        (
            spec(container={"volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": "../x"}]}),
            ("templates", 0, "container", "volumeMounts", 0, "subPath"),
            BACK,
        ),
        (
            {"templateDefaults": {"volumes": [{"name": "V", "emptyDir": {}}]}},
            ("templateDefaults", "volumes", 0, "name"),
            LABEL,
        ),
        (
            spec(inputs={"artifacts": [{"name": "a", "path": "/a\0b"}]}),
            ("templates", 0, "inputs", "artifacts", 0, "path"),
            "must not contain a NUL",
        ),
    ],
)
def test_each_place_where_a_pod_has_one(
    given: dict[str, object], where: tuple[object, ...], says: str
) -> None:
    ((path, _, problem),) = refused(given)
    assert path == where
    assert problem.startswith(says)


def test_what_a_cluster_takes_is_not_refused() -> None:
    mounts = [{"name": "v", "mountPath": "/a/../b"}, {"name": "v", "mountPath": "/c:d", "subPath": "x/y"}]
    main = {"workingDir": "/../..", "volumeMounts": mounts, "env": [{"name": "a.b-C d"}]}
    paths = {
        "artifacts": [{"name": "a", "path": "../../x"}, {"name": "b", "path": "{{inputs.parameters.p}}/.."}]
    }
    assert list(refused(spec(container=main, inputs=paths, sidecars=[{"name": "{{x}}"}]))) == []


def test_keys_of_objects() -> None:
    given = {"kind": "Secret", "data": {"a": "", "../b": ""}, "stringData": {"/c": ""}}
    assert [key for _, key, _ in bad_keys(given)] == ["../b", "/c"]
    assert list(bad_keys({"kind": "Other", "data": {"/": ""}})) == []
