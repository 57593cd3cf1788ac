"""Nothing that a workflow says is silently ignored: each field of Argo's schema is done, refused, or listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import IMAGE, Recorder, execute, shell, workflow
from tiphys.engine import Notice
from tiphys.engine.fields import page, types, unclassified, uses
from tiphys.errors import RefusedError

Json = Any
ROOT = Path(__file__).resolve().parents[2]


def test_every_field_of_the_schema_is_classified() -> None:
    assert unclassified() == []


def test_every_field_of_heras_models_is_classified() -> None:
    # a second witness: what authors can write with the installed Hera
    from hera.workflows import models

    by_path = {each.path: each for each in types().values()}
    for path, model in {
        "spec": models.WorkflowSpec,
        "spec.templates": models.Template,
        "spec.templates.container": models.Container,
        "spec.templates.script": models.ScriptTemplate,
        "spec.templates.initContainers": models.UserContainer,
        "spec.templates.containerSet.containers": models.ContainerNode,
        "spec.templates.dag.tasks": models.DAGTask,
        "spec.templates.steps": models.WorkflowStep,
        "spec.templates.http": models.HTTP,
        "spec.templates.resource": models.ResourceTemplate,
        "spec.arguments.artifacts": models.Artifact,
        "spec.arguments.parameters": models.Parameter,
        "spec.retryStrategy": models.RetryStrategy,
        "spec.metrics.prometheus": models.Prometheus,
        "spec.volumes": models.Volume,
    }.items():
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert names - set(by_path[path].fields) <= {"stopStrategy"}, path


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "fields.md").read_text() == page(), (
        "python -m tiphys.engine.fields > docs/fields.md"
    )


def test_each_refusal_and_each_field_without_effect_has_a_reason() -> None:
    for each in types().values():
        for name, entry in each.fields.items():
            assert entry.kind == "done" or entry.note, f"{each.path}.{name}"


MAIN = shell("main", "true")
BLOCK = {**MAIN["container"], "volumeDevices": [{"name": "d", "devicePath": "/dev/x"}]}


def with_container(**more: Json) -> dict[str, Json]:
    return workflow({"name": "main", "container": {**MAIN["container"], **more}})


@pytest.mark.parametrize(
    ("flow", "code", "path"),
    [
        (
            with_container(livenessProbe={"grpc": {"port": 1}}),
            "TIP272",
            "spec.templates[0].container.livenessProbe.grpc",
        ),
        (
            workflow({**MAIN, "initContainers": [{"name": "i", "image": IMAGE, "restartPolicy": "Always"}]}),
            "TIP272",
            "spec.templates[0].initContainers[0].restartPolicy",
        ),
        (
            with_container(volumeDevices=[{"name": "d", "devicePath": "/dev/x"}]),
            "TIP272",
            "spec.templates[0].container.volumeDevices",
        ),
        (
            workflow(
                MAIN,
                volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
            ),
            "TIP223",
            "spec.volumes[0].projected.sources[0].serviceAccountToken",
        ),
        (
            workflow(
                {"name": "main", "steps": [[{"name": "a", "inline": {"name": "", "container": BLOCK}}]]},
            ),
            "TIP272",
            "spec.templates[0].steps[0][0].inline.container.volumeDevices",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(
    tmp_path: Path, flow: dict[str, Json], code: str, path: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, flow)
    assert (caught.value.code, caught.value.where) == (code, path)
    assert not list((tmp_path / "store").glob("runs/*/logs"))


@pytest.mark.parametrize("kind", ["WorkflowTemplate", "ClusterWorkflowTemplate"])
def test_templates_kept_elsewhere_are_looked_at_where_they_are_used(tmp_path: Path, kind: str) -> None:
    kept = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "kept"},
        "spec": {
            "templates": [
                {"name": "calls", "steps": [[{"name": "a", "template": "blocked"}]]},
                {"name": "blocked", "container": BLOCK},
                shell("free", "true"),
            ]
        },
    }

    def flow(template: str) -> dict[str, Json]:
        reference = {"name": "kept", "template": template, "clusterScope": kind.startswith("Cluster")}
        return workflow({"name": "main", "steps": [[{"name": "s", "templateRef": reference}]]})

    with pytest.raises(RefusedError, match="volumeDevices"):
        execute(tmp_path, flow("calls"), context=[kept])
    assert execute(tmp_path, flow("free"), context=[kept]).succeeded


def test_fields_without_effect_do_not_keep_a_workflow_from_running(tmp_path: Path) -> None:
    spec: dict[str, Json] = {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "serviceAccountName": "x",
        "dnsConfig": {"nameservers": ["1.1.1.1"]},
        "ttlStrategy": {"secondsAfterCompletion": 1},
    }
    flow = workflow(MAIN, **spec)
    assert [use.path for use in uses(flow["spec"]) if use.entry.kind == "none"] == [
        f"spec.{name}" for name in spec
    ]
    assert execute(tmp_path, flow).succeeded


def test_a_runner_that_cannot_give_host_aliases_says_so(tmp_path: Path) -> None:
    seen = Recorder()
    flow = workflow(MAIN, hostAliases=[{"ip": "127.0.0.9", "hostnames": ["foo"]}])
    assert execute(tmp_path, flow, observer=seen).succeeded
    assert [each.code for each in seen.of(Notice)] == ["TIP273"]
