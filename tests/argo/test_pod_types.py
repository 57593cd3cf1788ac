"""The types of containers, volumes and places of artifacts hold what the real controller took and wrote."""

from __future__ import annotations

from tests.argo.fitting import misfits
from tests.conformance.own import cases, load_records
from tiphys.argo import pod_types, types


def test_the_parts_of_recorded_workflows_fit() -> None:
    met: set[str] = set()
    found: list[str] = []
    for name, record in load_records().items():
        for template in (cases()[name].workflow.get("spec") or {}).get("templates") or ():
            found += misfits(template, types.Template, met, exact=False)
        for node in record["nodes"]:
            found += misfits(node.get("outputs", {}), types.Outputs, met)
    assert found == []
    assert met >= {"ContainerSpec", "S3Location"}


def test_a_script_is_a_container_with_a_source() -> None:
    assert not list(
        misfits({"image": "i", "source": "s", "env": [{"name": "n"}]}, pod_types.ScriptSpec, set())
    )
    assert list(misfits({"image": "i", "source": "s"}, pod_types.ContainerSpec, set()))
