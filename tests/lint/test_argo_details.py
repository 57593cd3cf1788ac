"""Small things in which Argo's validation is peculiar: the verdicts were seen with ``argo lint`` 4.1.2.

Where the real program is here, it is asked again.
"""

from __future__ import annotations

import pytest

from tests.lint.examples import HEAD
from tests.lint.mutants import ask_argo
from tests.lint.places import argo_binary
from tiphys.lint import lint

IMAGE = 'image: "alpine:3.23"'
LEAF = f"{{name: leaf, container: {{{IMAGE}}}}}"

# (what, is it rejected, the spec)
DETAILS = [
    ("an entry input with a default, wiped by an argument without value", True,
     f"{{entrypoint: m, arguments: {{parameters: [{{name: x}}]}}, templates: [{{name: m, inputs: {{parameters: "
     f"[{{name: x, default: q}}]}}, container: {{{IMAGE}}}}}]}}"),
    ("an entry input from a ConfigMap", False,
     f"{{entrypoint: m, templates: [{{name: m, inputs: {{parameters: [{{name: x, valueFrom: {{configMapKeyRef: "
     f"{{name: a, key: b}}}}}}]}}, container: {{{IMAGE}}}}}]}}"),
    ("an input artifact with its own location", False,
     f"{{entrypoint: m, templates: [{{name: m, inputs: {{artifacts: [{{name: a, path: /a, raw: {{data: a}}}}]}}, "
     f"container: {{{IMAGE}}}}}]}}"),
    ("a path that climbs out", True,
     f"{{entrypoint: m, templates: [{{name: m, inputs: {{artifacts: [{{name: a, path: /a/../../b, raw: "
     f"{{data: a}}}}]}}, container: {{{IMAGE}}}}}]}}"),
    ("a list as the value of a parameter", False,
     f"{{entrypoint: m, arguments: {{parameters: [{{name: x, value: [a]}}]}}, templates: [{{name: m, container: "
     f"{{{IMAGE}}}}}]}}"),
    ("a timeout on suspend", True, "{entrypoint: m, templates: [{name: m, suspend: {}, timeout: 5s}]}"),
    ("a deadline on suspend", False,
     "{entrypoint: m, templates: [{name: m, suspend: {}, activeDeadlineSeconds: 5}]}"),
    ("a tag inside an expression", False,
     "{entrypoint: m, templates: [{name: m, container: {image: \"a{{= 'x{{inputs.parameters.x}}'}}\"}}]}"),
    ("a blank before the = of an expression", False,
     '{entrypoint: m, templates: [{name: m, container: {image: "a{{ = inputs.parameters.x}}"}}]}'),
    ("a tag that is not closed in its own text", True,
     '{entrypoint: m, templates: [{name: m, container: {image: "a{{inputs.parameters.x"}}]}'),
    ("a tag of steps that closes nowhere", True,
     '{entrypoint: m, templates: [{name: m, steps: [[{name: a, template: leaf, withItems: ["{{x"]}]]}, '
     f"{LEAF}]}}"),
    ("the second inline template is not looked into", False,
     f"{{entrypoint: m, templates: [{{name: m, steps: [[{{name: a, inline: {{container: {{{IMAGE}}}}}}}, "
     f"{{name: b, inline: {{container: {{}}}}}}]]}}]}}"),
    ("a step named by an input", False,
     f'{{entrypoint: m, templates: [{{name: m, inputs: {{parameters: [{{name: d, value: x}}]}}, steps: '
     f'[[{{name: "a-{{{{inputs.parameters.d}}}}", template: leaf}}]]}}, {LEAF}]}}'),
    ("a step named by an item", True,
     '{entrypoint: m, templates: [{name: m, steps: [[{name: "a-{{item}}", template: leaf, withItems: [a]}]]}, '
     f"{LEAF}]}}"),
    ("a template chosen by the entry's own argument", False,
     f'{{entrypoint: m, arguments: {{parameters: [{{name: x, value: leaf}}]}}, templates: [{{name: m, inputs: '
     f'{{parameters: [{{name: x}}]}}, steps: [[{{name: a, template: "{{{{inputs.parameters.x}}}}"}}]]}}, {LEAF}]}}'),
    ("a templateRef decided at run time", False,
     '{entrypoint: m, templates: [{name: m, steps: [[{name: a, withItems: [a], templateRef: {name: "{{item}}", '
     "template: b}}]]}]}"),
    ("a status of a task that is no ancestor", True,
     '{entrypoint: m, templates: [{name: m, dag: {tasks: [{name: a, template: leaf, when: "{{tasks.b.status}} == x"}, '
     f"{{name: b, template: leaf}}]}}}}, {LEAF}]}}"),
    ("an output inside a longer text needs no dependency", False,
     f'{{entrypoint: m, templates: [{{name: m, dag: {{tasks: [{{name: a, template: leaf}}, {{name: c, template: leaf, '
     f'arguments: {{parameters: [{{name: q, value: "x{{{{tasks.a.outputs.result}}}}"}}]}}}}]}}}}, {LEAF}]}}'),
    ("a dependency that holds a result", True,
     f"{{entrypoint: m, templates: [{{name: m, dag: {{tasks: [{{name: a, template: leaf}}, {{name: c, template: leaf, "
     f"dependencies: [a.Succeeded]}}]}}}}, {LEAF}]}}"),
    ("item.[1] of a list", False,
     f'{{entrypoint: m, templates: [{{name: m, steps: [[{{name: a, template: leaf, withItems: [[a, b]], arguments: '
     f'{{parameters: [{{name: x, value: "{{{{item.[1]}}}}"}}]}}}}]]}}, {LEAF}]}}'),
    ("a key that no item has", True,
     f'{{entrypoint: m, templates: [{{name: m, steps: [[{{name: a, template: leaf, withItems: [{{k: b}}], arguments: '
     f'{{parameters: [{{name: x, value: "{{{{item.c}}}}"}}]}}}}]]}}, {LEAF}]}}'),
    ("two blanks in a target", True,
     f'{{entrypoint: m, templates: [{{name: m, dag: {{target: "a  b", tasks: [{{name: a, template: leaf}}, '
     f"{{name: b, template: leaf}}]}}}}, {LEAF}]}}"),
    ("the location of a called template's artifact is replaced", False,
     f'{{entrypoint: m, templates: [{{name: m, steps: [[{{name: x, template: q}}]]}}, {{name: q, inputs: {{artifacts: '
     f'[{{name: a, path: /b, git: {{repo: "{{{{inputs.parameters.z}}}}"}}}}]}}, container: {{{IMAGE}}}}}]}}'),
    ("the location of the entry's artifact is not", True,
     f'{{entrypoint: m, templates: [{{name: m, inputs: {{artifacts: [{{name: a, path: /b, git: {{repo: '
     f'"{{{{inputs.parameters.z}}}}"}}}}]}}, container: {{{IMAGE}}}}}]}}'),
    ("a hook of a DAG task without an expression", False,
     f"{{entrypoint: m, templates: [{{name: m, dag: {{tasks: [{{name: a, template: leaf, hooks: {{foo: {{template: "
     f"leaf}}}}}}]}}}}, {LEAF}]}}"),
    ("a manifest with a tag that nothing fills", True,
     '{entrypoint: m, templates: [{name: m, resource: {action: get, manifest: "a: b"}}, {name: o, resource: '
     '{action: create, manifest: "a: {{foo}}"}}]}'),
    ("a merge that repeats a key", True,
     "\n  <<: &x {entrypoint: m}\n  entrypoint: m\n  templates: [{name: m, suspend: {}}]"),
    ("all inputs of a script that has none", False,
     f"{{entrypoint: m, templates: [{{name: m, script: {{{IMAGE}, source: 'echo {{{{inputs.parameters}}}}'}}}}]}}"),
    ("all inputs of a DAG that has none", False,
     f"{{entrypoint: m, templates: [{{name: m, dag: {{tasks: [{{name: a, template: leaf, arguments: {{parameters: "
     f"[{{name: x, value: '{{{{inputs.parameters}}}}'}}]}}}}]}}}}, {LEAF}]}}"),
    ("all artifacts at once", True,
     f"{{entrypoint: m, templates: [{{name: m, script: {{{IMAGE}, source: 'echo {{{{inputs.artifacts}}}}'}}}}]}}"),
    ("an unknown name two values away", True,
     "{entrypoint: m, arguments: {parameters: [{name: a, value: '{{workflow.parameters.b}}'}, {name: b, value: "
     f"'{{{{workflow.parameters.none}}}}'}}]}}, templates: [{{name: m, container: {{{IMAGE}, args: "
     "['{{workflow.parameters.a}}']}}]}"),
    ("an unknown name three values away", False,
     "{entrypoint: m, arguments: {parameters: [{name: a, value: '{{workflow.parameters.b}}'}, {name: b, value: "
     "'{{workflow.parameters.c}}'}, {name: c, value: '{{workflow.parameters.none}}'}]}, templates: [{name: m, "
     f"container: {{{IMAGE}, args: ['{{{{workflow.parameters.a}}}}']}}}}]}}"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "rejected", "spec"), DETAILS, ids=[item[0] for item in DETAILS])
def test_the_verdict_is_the_one_that_was_seen(what: str, rejected: bool, spec: str) -> None:
    errors = [str(item) for item in lint(f"{HEAD}spec: {spec}\n") if item.severity == "error"]
    assert bool(errors) == rejected, errors


def test_the_real_program_still_says_so(tmp_path: object) -> None:
    argo_binary()
    different = []
    for number, (what, rejected, spec) in enumerate(DETAILS):
        told, words = ask_argo(f"{HEAD}spec: {spec}\n", str(tmp_path), number)
        if told != rejected:
            different.append((what, words))
    assert different == []
