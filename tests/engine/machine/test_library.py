"""Whose labels a pod has: 4.0.5 was asked (tests/conformance/own40/pods.yaml); 4.1.2 by its source, addPodMetadata."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import NOW, machine
from tiphys.argo.version import Argo
from tiphys.engine.machine import protocol as p

SHARED = """
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: shared}
spec:
  podMetadata: {labels: {both: of-the-shared-one, shared: of-the-shared-one}}
  templates:
  - {name: show, metadata: {labels: {both: of-the-template, own: of-the-template}}, container: {image: i}}
"""


def labels(text: str, argo: Argo) -> dict[str, str]:
    commands = machine(text, argo=argo).handle(p.Begin(NOW))
    (pod,) = [each for each in commands if isinstance(each, p.StartPod)]
    return dict((pod.template.get("metadata") or {}).get("labels") or {})


@pytest.mark.parametrize(("argo", "winner"), [("4.0", "of-the-shared-one"), ("4.1", "of-the-template")])
def test_a_template_that_is_referred_to_has_the_labels_of_its_own_object(argo: Argo, winner: str) -> None:
    text = f"""
entrypoint: main
podMetadata: {{labels: {{both: of-the-workflow}}}}
templates: [{{name: main, steps: [[{{name: a, templateRef: {{name: shared, template: show}}}}]]}}]
{SHARED}"""
    assert labels(text, argo) == {"both": winner, "shared": "of-the-shared-one", "own": "of-the-template"}


@pytest.mark.parametrize(("argo", "winner"), [("4.0", "of-the-workflow"), ("4.1", "of-the-template")])
def test_a_template_of_the_workflow_has_the_workflows(argo: Argo, winner: str) -> None:
    text = """
entrypoint: main
podMetadata: {labels: {both: of-the-workflow, spec: of-the-workflow}}
templates: [{name: main, metadata: {labels: {both: of-the-template, own: of-the-template}}, container: {image: i}}]
"""
    assert labels(text, argo) == {"both": winner, "spec": "of-the-workflow", "own": "of-the-template"}
