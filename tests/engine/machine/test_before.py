"""What ends a workflow before anything runs; the words were recorded from Argo 4.0.5 on Kubernetes 1.33."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import drive

LEAF = "entrypoint: main\ntemplates: [{name: main, container: {image: i}}]\n"
CLAIM = 'pvc create error: PersistentVolumeClaim "wf-work" is invalid: '
STORAGE = "resources: {requests: {storage: 1Mi}}"
NO_REPOSITORY = "failed to resolve artifact repository: failed to find any artifact repository for artifact "


@pytest.mark.parametrize(
    ("claim", "right"),
    [
        (
            f"accessModes: [ReadSometimes], {STORAGE}",
            'spec.accessModes: Unsupported value: "ReadSometimes": supported values: "ReadOnlyMany", '
            '"ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
        ),
        (
            f"accessModes: [ReadWriteOncePod, ReadWriteOnce], {STORAGE}",
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        (STORAGE, "spec.accessModes: Required value: at least 1 access mode is required"),
        ("accessModes: [ReadWriteOnce]", "spec.resources[storage]: Required value"),
    ],
)
def test_a_claim_that_cannot_be_made(claim: str, right: str) -> None:
    made = drive(f"{LEAF}volumeClaimTemplates: [{{metadata: {{name: work}}, spec: {{{claim}}}}}]")
    assert (made.phase, made.message, made.nodes) == ("Error", CLAIM + right, {})


def test_claims_that_can_be_made() -> None:
    claim = f"accessModes: [ReadWriteOnce, ReadOnlyMany], {STORAGE}"
    made = drive(f"{LEAF}volumeClaimTemplates: [{{metadata: {{name: work}}, spec: {{{claim}}}}}]")
    assert made.phase == "Succeeded"


MAP = "---\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {there: 's3: {}'}\n"


@pytest.mark.parametrize(
    ("reference", "given", "shown"),
    [
        ("{configMap: no-such-map, key: k}", "", '"no-such-map#k"'),
        ("{configMap: mine, key: k}", "mine", '"mine#k"'),
        ("{key: k}", "artifact-repositories", '"artifact-repositories#k"'),
    ],
)
def test_an_artifact_repository_that_does_not_exist(reference: str, given: str, shown: str) -> None:
    made = drive(
        f"{LEAF}artifactRepositoryRef: {reference}\n" + (MAP.replace("NAME", given) if given else "")
    )
    assert (made.phase, made.message, made.nodes) == ("Error", f"{NO_REPOSITORY}repository ref {shown}", {})


@pytest.mark.parametrize(
    ("reference", "given"), [("{key: k}", ""), ("{configMap: mine, key: there}", "mine"), ("{}", "")]
)
def test_an_artifact_repository_that_may_exist(reference: str, given: str) -> None:
    made = drive(
        f"{LEAF}artifactRepositoryRef: {reference}\n" + (MAP.replace("NAME", given) if given else "")
    )
    assert made.phase == "Succeeded"
