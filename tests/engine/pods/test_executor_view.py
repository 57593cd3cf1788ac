"""``$(NAME)`` and ``$$`` in what Argo's executor reads, as the real 4.0.5 gave it (asked on 2026-11-27)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import IMAGE, execute, log, node, python, value, workflow

SAID = (
    "one $ two $$ three $$$ four $$$$ pod $(ARGO_POD_NAME) of $(ARGO_WORKFLOW_NAME) in $(ARGO_CONTAINER_NAME) "
    "not $(NOPE) not $(ARGO_NODE_ID) but $$(ARGO_POD_NAME)"
)
READ = "one $ two $ three $$ four $$ pod {pod} of {name} in init not $(NOPE) not $(ARGO_NODE_ID) but $(ARGO_POD_NAME)"


def read(name: str) -> str:
    return READ.format(pod=name, name=name)


def test_the_source_of_a_script(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(python("main", f"print({SAID!r})")))
    assert log(result, result.name) == read(result.name) + "\n"


def test_raw_artifacts_and_defaults_and_paths_of_outputs(tmp_path: Path) -> None:
    raw = {"name": "raw", "path": "/tmp/raw", "raw": {"data": SAID}}
    outputs = {
        "parameters": [
            {"name": "d", "valueFrom": {"path": "/tmp/none", "default": SAID}},
            {"name": "p", "valueFrom": {"path": "/tmp/$$x"}},
        ]
    }
    made = python(
        "main",
        "print(open('/tmp/raw').read()); open('/tmp/' + chr(36) + 'x', 'w').write('there')",
        inputs={"artifacts": [raw]},
        outputs=outputs,
    )
    result = execute(tmp_path, workflow(made))
    assert result.succeeded, result.message
    assert log(result, result.name) == read(result.name) + "\n"
    assert value(result, result.name, "d") == read(result.name)
    assert value(result, result.name, "p") == "there"


def test_a_template_too_long_for_a_variable_is_left_as_it_is(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(python("main", f"print({SAID!r})\n#" + "x" * 131072)))
    assert log(result, result.name) == SAID + "\n"


@pytest.mark.parametrize("kind", ["args", "env"])
def test_what_the_kubelet_replaces_once_is_not_replaced_twice(tmp_path: Path, kind: str) -> None:
    container = {"image": IMAGE, "command": ["sh", "-c"], "args": ["echo 'a $$$$ b'"]}
    if kind == "env":
        container = {
            "image": IMAGE,
            "command": ["printenv", "A"],
            "env": [{"name": "A", "value": "a $$$$ b"}],
        }
    result = execute(tmp_path, workflow({"name": "main", "container": container}))
    assert log(result, result.name) == "a $$ b\n"
    assert node(result, result.name)["phase"] == "Succeeded"
