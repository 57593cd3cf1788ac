"""The types of manifests hold those of the pipeline that the real operators run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.argo.fitting import misfits
from tiphys.argo import manifest_types

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "fashion-mnist.yaml"
TYPES = {
    "Deployment": manifest_types.DeploymentManifest,
    "Service": manifest_types.ServiceManifest,
    "TFJob": manifest_types.TFJobManifest,
}


def _manifests() -> Iterator[tuple[str, object]]:
    for workflow in yaml.safe_load_all(GOLDEN.read_text(encoding="utf-8")):
        for template in workflow["spec"]["templates"] if workflow["kind"] == "Workflow" else ():
            manifest = yaml.safe_load((template.get("resource") or {}).get("manifest", "{}"))
            if manifest.get("kind") in TYPES:
                yield manifest["kind"], manifest


def test_the_pipelines_manifests_fit() -> None:
    met: set[str] = set()
    kinds = set()
    for kind, manifest in _manifests():
        kinds.add(kind)
        assert list(misfits(manifest, TYPES[kind], met, exact=False)) == []
    assert kinds == set(TYPES)
    assert met >= {"ContainerSpec", "TFReplica", "PodSpec", "PodTemplate", "ServicePort"}


@pytest.mark.parametrize(
    "wrong", [{"spec": {"tfReplicaSpecs": []}}, {"spec": {"tfReplicas": {}}}, {"spec": 1}]
)
def test_what_is_no_tfjob_does_not_fit(wrong: object) -> None:
    assert len(list(misfits(wrong, manifest_types.TFJobManifest, set()))) == 1
