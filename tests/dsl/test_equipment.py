"""What the pod of a step is given: the fields of its template, as Argo makes a pod of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows.models import Template, Toleration

import tiphys
from tests.tools import argo_lint
from tiphys import (
    DefinitionError,
    MoreMemory,
    OnFailure,
    Pipeline,
    PodSettings,
    Resources,
    Scheduling,
    Scratch,
    Secret,
    Volume,
    component,
)
from tiphys.argo.patch import POD_SPEC, strategic
from tiphys.engine import RunOptions

GPU = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def nothing() -> None:
    pass


def pipeline_of(options: dict[str, Any], **of_all: Any) -> Pipeline:
    with Pipeline("equipped", **of_all) as pipeline:
        component(nothing, **options)()
    return pipeline


def spec_of(pipeline: Pipeline) -> dict[str, Any]:
    spec: dict[str, Any] = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    return spec


def template_of(options: dict[str, Any], **of_all: Any) -> dict[str, Any]:
    template: dict[str, Any] = spec_of(pipeline_of(options, **of_all))["templates"][-1]
    Template.model_validate(template)
    return template


def pod_of(template: dict[str, Any]) -> dict[str, Any]:
    """The pod with its patch."""
    main = {**template["script"], "name": "main"}
    pod = {"containers": [main, {"name": "wait"}], "volumes": template.get("volumes") or []}
    return strategic(pod, json.loads(template["podSpecPatch"]), POD_SPEC)


def test_everything_at_once_is_taken_by_argo_and_runs_here(tmp_path: Path) -> None:
    @component(
        resources=Resources(memory="512Mi", disk="1Gi", disk_limit="2Gi", shm="64Mi"),
        scheduling=Scheduling(
            priority_class="high", queue="anna", node_selector={"pool": "large"}, tolerations=["spot"]
        ),
        pod=PodSettings(
            service_account="trainer",
            token=True,
            labels={"team": "vision"},
            annotations={"example.com/why": "a test"},
            volumes=[Volume("datasets"), Scratch("/scratch", "1Gi"), Scratch("/ram", "1Mi", on="memory")],
            host_aliases={"10.0.0.7": ["db"]},
            patch={"dnsPolicy": "Default", "containers": [{"name": "main", "imagePullPolicy": "Always"}]},
        ),
        on_failure=OnFailure(oom=MoreMemory()),
    )
    def write() -> str:
        for folder in ("/scratch", "/ram", "/mnt/datasets"):
            with open(f"{folder}/x", "w", encoding="utf-8") as file:
                file.write("x")
        return os.environ["TIPHYS_VOLUMES"]

    with Pipeline("equipped") as pipeline:
        write()
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    assert [each for each in tiphys.lint(pipeline) if each.severity != "info"] == []
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store")).succeeded
    template = spec_of(pipeline)["templates"][-1]
    assert template["metadata"] == {
        "labels": {"kueue.x-k8s.io/queue-name": "anna", "team": "vision"},
        "annotations": {"example.com/why": "a test"},
    }
    assert template["serviceAccountName"] == "trainer"
    assert template["priorityClassName"] == "high"
    pod = pod_of(template)
    main = next(each for each in pod["containers"] if each["name"] == "main")
    assert (pod["dnsPolicy"], main["imagePullPolicy"]) == ("Default", "Always")
    token = {
        "name": "tiphys-token",
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "readOnly": True,
    }
    assert all(token in each["volumeMounts"] for each in pod["containers"])
    assert main["resources"]["limits"]["ephemeral-storage"] == "2Gi"
    assert "retries" in main["resources"]["limits"]["memory"]


def test_the_authors_code_has_no_token_unless_it_asks() -> None:
    mounts = pod_of(template_of({"pod": PodSettings(service_account="trainer")}))["containers"][0][
        "volumeMounts"
    ]
    assert not any("serviceaccount" in each["mountPath"] for each in mounts)


def test_the_step_goes_elsewhere_and_keeps_what_it_does_not_say() -> None:
    """Argo takes a template's node selector and tolerations in place of the workflow's, not beside them."""
    everywhere = Scheduling(node_selector={"pool": "small"}, tolerations=["spot"], priority_class="low")
    template = template_of({"scheduling": Scheduling(tolerations=["dedicated"])}, scheduling=everywhere)
    assert template["nodeSelector"] == {"pool": "small"}
    assert [each["key"] for each in template["tolerations"]] == ["spot", "dedicated"]
    assert template["priorityClassName"] == "low"
    assert not {"nodeSelector", "tolerations"} & template_of({}, scheduling=everywhere).keys()


def test_a_gpu_brings_along_what_it_needs() -> None:
    template = template_of({"resources": Resources(gpu=1)})
    assert template["tolerations"] == [GPU]
    assert template["script"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "tiphys-shm", "emptyDir": {"medium": "Memory"}} in template["volumes"]
    assert {"name": "tiphys-shm", "mountPath": "/dev/shm"} in template["script"]["volumeMounts"]
    other = template_of({"resources": Resources(gpu=1, gpu_resource="amd.com/gpu", shm="1Gi")})
    assert other["tolerations"][0]["key"] == "amd.com/gpu"
    assert other["volumes"][-1]["emptyDir"]["sizeLimit"] == "1Gi"


def test_gpu_nodes_are_said_once_for_the_pipeline() -> None:
    nodes = Scheduling(node_selector={"gpu": "a100"}, tolerations=["gpu-team"])
    template = template_of(
        {"resources": Resources(gpu=1)}, gpu_nodes=nodes, scheduling=Scheduling(tolerations=["spot"])
    )
    assert template["nodeSelector"] == {"gpu": "a100"}
    assert [each["key"] for each in template["tolerations"]] == ["spot", "nvidia.com/gpu", "gpu-team"]
    assert "nodeSelector" not in template_of({}, gpu_nodes=nodes)


def test_tolerations_of_hera_stay_with_those_of_a_template() -> None:
    pipeline = pipeline_of({"resources": Resources(gpu=1)}, scheduling=Scheduling(tolerations=["spot"]))
    pipeline.tolerations = [Toleration(operator="Exists", effect="NoExecute")]
    spec = spec_of(pipeline)
    heras = {"operator": "Exists", "effect": "NoExecute"}
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}, heras]
    assert spec["templates"][-1]["tolerations"] == [{"key": "spot", "operator": "Exists"}, GPU, heras]


def test_a_folder_for_tmp_stands_in_place_of_the_usual_one() -> None:
    template = template_of({"pod": PodSettings(volumes=[Scratch("/tmp", "50Gi")])})
    assert [each["mountPath"] for each in template["script"]["volumeMounts"]] == ["/tmp"]


def test_a_claim_of_the_pipeline_is_declared_once() -> None:
    own = PodSettings(volumes=[Volume("tiphys", "/again", read_only=True)])
    pipeline = pipeline_of({"pod": own}, volumes=[Volume("tiphys")])
    spec = spec_of(pipeline)
    assert [each["name"] for each in spec["volumes"]] == ["tiphys"]
    assert [each["name"] for each in spec["templates"][-1]["volumes"]] == ["tiphys-tmp"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"pod": PodSettings(volumes=[Volume("tiphys")])}, "TIP102", "/mnt/tiphys"),
        ({"pod": PodSettings(volumes=[Scratch("/s"), Scratch("/s")])}, "TIP102", "/s"),
        ({"secrets": [Secret("a", mount="/s")], "pod": PodSettings(volumes=[Scratch("/s")])}, "TIP102", "/s"),
        (
            {"resources": Resources(shm="1Gi"), "pod": PodSettings(volumes=[Scratch("/dev/shm")])},
            "TIP102",
            "shm",
        ),
        ({"scheduling": Scheduling(priority=5)}, "TIP105", "priority"),
        ({"scheduling": {"pool": "large"}}, "TIP105", "Scheduling("),
        ({"pod": {"labels": {}}}, "TIP105", "PodSettings("),
    ],
)
def test_what_does_not_go_together_is_told_at_its_line(
    options: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        template_of(options, volumes=[Volume("tiphys")])
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "test_equipment.py:" in caught.value.where


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"disk": "10 GB"}, "quantity"),
        ({"disk": "2Gi", "disk_limit": "1Gi"}, "disk_limit"),
        ({"shm": "4Gi"}, "memory limit"),
        ({"shm": "0.5 Gi"}, "quantity"),
        ({"gpu": -1}, "gpu"),
    ],
)
def test_resources_that_cannot_be(given: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Resources(**given)
    assert caught.value.code == "TIP109"
    assert words in str(caught.value)
    assert "test_equipment.py:" in caught.value.where
