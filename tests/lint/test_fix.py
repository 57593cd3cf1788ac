"""``--fix``: what has one right answer is repaired, comments and layout stay."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.lint.examples import HEAD
from tiphys.lint import fix, lint

DEFECTS = Path(__file__).parent / "fixtures" / "nine-defects.yaml"

# The nine defects of the example, each with the codes that tell it; any of them will do.
NINE = {
    "one variant trained twice": {"L403"},
    "one checkpoint folder for three jobs": {"L407"},
    "a constant memo key, nothing handed on": {"L302", "L308"},
    "a cache field that does not exist": {"L110"},
    "a condition outside resource": {"L110"},
    "scaling outside the model": {"L404"},
    "hard-coded versions": {"L405"},
    "a fixed name, a single replica": {"L338", "L406"},
    "no semaphore, retry, deadline, log label": {"L346", "L348", "L345", "L347"},
}


def test_all_nine_defects_are_found() -> None:
    found = {item.code for item in lint(DEFECTS)}
    for defect, codes in NINE.items():
        assert codes <= found, defect
    paths = {item.path for item in lint(DEFECTS) if item.code == "L110"}
    assert paths == {"spec.templates[1].memoize.cache.configMap.key", "spec.templates[6].successCondition"}


def test_at_least_six_of_the_nine_are_repaired() -> None:
    before = DEFECTS.read_text()
    after, applied = fix(before)
    left = {item.code for item in lint(after)}
    assert {item.code for item in applied} >= {"L110", "L302", "L338", "L341", "L347", "L403"}
    assert not left & {"L110", "L302", "L338", "L341", "L347", "L403"}
    comments = [line[line.index("#") :] for line in before.splitlines() if "#" in line]
    lost = [text for text in comments if text not in after]
    assert lost == ["# defect 4: no such field"]  # it stood on the line that is gone


def lines_changed(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_the_singular_locks_become_lists() -> None:
    text = HEAD + (
        "spec:\n"
        "  entrypoint: main\n"
        "  synchronization:\n"
        "    semaphore:  # the old spelling\n"
        "      configMapKeyRef:\n"
        "        name: locks\n"
        "        key: gpu\n"
        "    mutex: {name: publish}\n"
        "  templates: [{name: main, suspend: {}}]\n"
    )
    after, _ = fix(text)
    assert (
        "    semaphores:  # the old spelling\n      - configMapKeyRef:\n          name: locks\n          key: gpu\n"
        in after
    )
    assert "    mutexes: [{name: publish}]\n" in after
    assert not [item for item in lint(after) if item.severity == "error"]


def test_a_single_schedule_becomes_a_list() -> None:
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nmetadata: {name: nightly}\n"
        "spec:\n  schedule: '0 3 * * *'  # at night\n"
        "  workflowSpec: {entrypoint: main, templates: [{name: main, suspend: {}}]}\n"
    )
    after, _ = fix(text)
    assert "  schedules: ['0 3 * * *']  # at night\n" in after
    assert lint(after) == []


def test_bare_values_are_quoted_as_argo_reads_them() -> None:
    text = HEAD + (
        "spec:\n  entrypoint: main\n  arguments:\n    parameters:\n"
        "    - {name: a, value: 1e3}\n    - {name: b, value: yes}\n"
        "  templates:\n  - name: main\n"
        "    container: {image: 'a:1', command: [x, '{{workflow.parameters.a}}', '{{workflow.parameters.b}}']}\n"
    )
    after, applied = fix(text)
    assert [item.code for item in applied] == ["L350", "L350"]
    assert lines_changed(text, after) == [
        "-     - {name: a, value: 1e3}",
        '+     - {name: a, value: "1000"}',
        "-     - {name: b, value: yes}",
        '+     - {name: b, value: "true"}',
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("          replicas: 2\n          name: x\n", None),
        ("          n: 012\n", '          n: "012"\n'),
        ("          n: y  # a letter\n", '          n: "y"  # a letter\n'),
    ],
)
def test_values_inside_a_manifest(before: str, after: str | None) -> None:
    head = HEAD + (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    resource:\n      action: apply\n"
        "      manifest: |\n        apiVersion: v1\n        kind: ConfigMap\n        metadata: {name: demo}\n"
        "        data:\n"
    )
    text, _ = fix(head + before)
    if after is not None:
        assert text == head + after


def test_container_name_and_policy_of_a_tfjob() -> None:
    text = HEAD + (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    resource:\n      action: create\n"
        "      successCondition: status.replicaStatuses.Worker.succeeded == 2\n"
        "      manifest: |\n"
        "        apiVersion: kubeflow.org/v1\n"
        "        kind: TFJob\n"
        "        metadata: {generateName: demo-}\n"
        "        spec:\n"
        "          tfReplicaSpecs:\n"
        "            Worker:\n"
        "              replicas: 2\n"
        "              template:\n"
        "                spec:\n"
        "                  containers:\n"
        "                  - name: main  # wrong\n"
        "                    image: train:1.0\n"
    )
    after, applied = fix(text)
    assert {item.code for item in applied} == {"L340", "L341", "L347"}
    assert lines_changed(text, after) == [
        "+           successPolicy: AllWorkers",
        "+                 metadata:",
        '+                   labels: {workflows.argoproj.io/workflow: "{{workflow.name}}"}',
        "-                   - name: main  # wrong",
        "+                   - name: tensorflow  # wrong",
    ]


def test_what_has_no_single_answer_is_left_alone() -> None:
    text = HEAD + (
        "spec:\n  entrypoint: man\n  templates:\n  - name: mann\n    suspend: {}\n  - name: mani\n    suspend: {}\n"
    )
    assert fix(text) == (text, [])


def test_positions_hold_in_later_documents() -> None:
    first = HEAD + "spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}\n"
    second = HEAD + "spec: {entrypont: main, templates: [{name: main, suspend: {}}]}\n"
    after, _ = fix(f"{first}---\n{second}")
    assert after == f"{first}---\n{second.replace('entrypont', 'entrypoint')}"
