"""``tiphys lint --argo 4.0``: what `argo lint --offline --strict` of 4.0.5 was seen to say where 4.1.2 differs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lint.examples import HEAD
from tests.lint.mutants import ask_argo
from tests.lint.places import argo_binary, lint_cases
from tiphys.argo.newer import SINCE_4_1
from tiphys.argo.reader import scan_text
from tiphys.errors import RefusedError
from tiphys.lint import lint
from tiphys.lint.linter import lint_documents

RECORDED = json.loads((Path(__file__).parent / "fixtures" / "argo-4.0.json").read_text())
POD = "container: {image: a, command: [a]}"
STEP = "{name: w, suspend: {}}"


def pod(more: str, spec: str = "") -> str:
    return f"{spec}entrypoint: m, templates: [{{name: m, {more}}}]"


def step(name: str, *, inputs: str = "", spec: str = "") -> str:
    return f"{spec}entrypoint: m, templates: [{{name: m, {inputs}steps: [[{{name: '{name}', template: w}}]]}}, {STEP}]"


def called(name: str) -> str:
    inputs = "inputs: {parameters: [{name: d, value: x}]}"
    inner = f"{{name: inner, {inputs}, steps: [[{{name: '{name}', template: w}}]]}}"
    outer = "{name: m, steps: [[{name: b, template: inner}]]}"
    return f"entrypoint: m, templates: [{outer}, {inner}, {STEP}]"


S3 = "s3: {endpoint: e, bucket: b, key: k, addressingStyle: path}"
ARGUMENT = "arguments: {parameters: [{name: d, value: x}]}, "
# (what, whether 4.0 rejects it, the spec's inside); 4.1 takes those that 4.0 rejects
SEEN = [
    ("executorPlugins", True, pod(POD, "executorPlugins: [], ")),
    ("podResources", True, pod(POD, "podResources: {limits: {cpu: 1}}, ")),
    ("podResources of a template", True, pod(f"{POD}, podResources: {{limits: {{cpu: 1}}}}")),
    ("resourceClaims", True, pod(POD, "resourceClaims: [{name: g, resourceClaimName: x}], ")),
    (
        "resourceClaims of a template",
        True,
        pod(f"{POD}, resourceClaims: [{{name: g, resourceClaimName: x}}]"),
    ),
    ("pendingTimeout", True, pod(f"{POD}, pendingTimeout: 5m")),
    ("pendingTimeout of the defaults", True, pod(POD, "templateDefaults: {pendingTimeout: 5m}, ")),
    ("addressingStyle", True, pod(f"{POD}, inputs: {{artifacts: [{{name: a, path: /a, {S3}}}]}}")),
    (
        "saveStreamViaFile",
        True,
        pod(
            f"{POD}, inputs: {{artifacts: [{{name: a, path: /a, http: {{url: u, saveStreamViaFile: true}}}}]}}"
        ),
    ),
    (
        "fileKeyRef",
        True,
        pod(
            "container: {image: a, command: [a], env: "
            "[{name: a, valueFrom: {fileKeyRef: {key: k, path: p, volumeName: v}}}]}"
        ),
    ),
    (
        "restartPolicyRules",
        True,
        pod(f"{POD}, initContainers: [{{name: i, image: a, restartPolicyRules: [{{action: Restart}}]}}]"),
    ),
    (
        "podCertificate",
        True,
        pod(
            POD,
            "volumes: [{name: v, projected: {sources: [{podCertificate: {keyType: ED25519, signerName: s}}]}}], ",
        ),
    ),
    ("the same word as a label", False, pod(POD, "podMetadata: {labels: {podResources: a}}, ")),
    ("a sidecar called wait", False, pod(f"{POD}, sidecars: [{{name: wait, image: a}}]")),
    ("a sidecar called supervisor", False, pod(f"{POD}, sidecars: [{{name: supervisor, image: a}}]")),
    ("a step of the workflow's name", True, step("r-{{workflow.name}}")),
    ("a step of an argument", False, step("r-{{workflow.parameters.d}}", spec=ARGUMENT)),
    (
        "a step of an argument without a value",
        True,
        step("r-{{workflow.parameters.d}}", spec="arguments: {parameters: [{name: d}]}, "),
    ),
    (
        "a step of an input of the entrypoint",
        False,
        step("r-{{inputs.parameters.d}}", inputs="inputs: {parameters: [{name: d}]}, ", spec=ARGUMENT),
    ),
    (
        "a step of an input with a default",
        False,
        step("r-{{inputs.parameters.d}}", inputs="inputs: {parameters: [{name: d, default: x}]}, "),
    ),
    ("a step of an input of a template that is called", True, called("r-{{inputs.parameters.d}}")),
]


@pytest.mark.parametrize(("what", "rejected", "spec"), SEEN, ids=[item[0] for item in SEEN])
def test_the_verdict_is_the_one_that_was_seen(what: str, rejected: bool, spec: str) -> None:
    text = f"{HEAD}spec: {{{spec}}}\n"
    old = [item for item in lint(text, argo="4.0") if item.severity == "error"]
    assert bool(old) == rejected, [str(item) for item in old]
    new = [item.code for item in lint(text) if item.severity == "error"]
    assert not new or (not rejected and new == ["L274"])
    assert {item.code for item in old} <= {"L116", "L206"}


def test_every_newer_field_was_tried() -> None:
    assert {
        name for name in SINCE_4_1 if any(name in spec for _, rejected, spec in SEEN if rejected)
    } == SINCE_4_1


def test_the_real_program_still_says_so(tmp_path: Path) -> None:
    shown = subprocess.run(
        [argo_binary(), "version", "--short"], capture_output=True, text=True, check=True
    ).stdout
    if "v4.0." not in shown:
        pytest.skip(f"the argo program here is not 4.0: {shown.strip()}")
    different = []
    for number, (what, rejected, spec) in enumerate(SEEN):
        told, words = ask_argo(f"{HEAD}spec: {{{spec}}}\n", str(tmp_path), number)
        if told != rejected:
            different.append((what, words))
    assert different == []


def test_the_verdict_is_argos_on_its_own_cases() -> None:
    """Those on which 4.0.5 and 4.1.2 differ, by id; on all others 4.0 is what 4.1 is."""
    wrong = []
    for case in lint_cases():
        documents = list(scan_text(case["yaml"], file="case.yaml"))
        for number, text in enumerate(case["context"]):
            documents += scan_text(text, file=f"context-{number}.yaml")
        rejected = [
            any(item.severity == "error" for item in lint_documents(documents, argo=version))
            for version in ("4.0", "4.1")
        ]
        expected = (
            True
            if case["id"] in RECORDED["rejected"]
            else False
            if case["id"] in RECORDED["accepted"]
            else rejected[1]
        )
        if rejected[0] != expected:
            wrong.append(case["name"])
    assert wrong == []


def test_a_version_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        lint(HEAD + "spec: {}\n", argo="3.7")  # type: ignore[arg-type]
    assert caught.value.code == "TIP215"
