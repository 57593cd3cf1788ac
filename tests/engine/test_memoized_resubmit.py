"""What a memoized resubmit leaves on the nodes: templateScope and messages, as the real controller (4.0.5) left them.

FormulateResubmitWorkflow is the same in 4.1.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, execute, shell, workflow
from tiphys.engine import RunOptions
from tiphys.engine.runtime import retry as again

Json = Any
LIBRARY = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "lib"},
    "spec": {
        "templates": [
            shell("pod", "true"),
            {"name": "group", "steps": [[{"name": "in", "template": "pod"}]]},
            shell("retried", "true", retryStrategy={"limit": 1}),
        ]
    },
}


def borrowed(name: str, template: str) -> dict[str, Json]:
    return {"name": name, "templateRef": {"name": "lib", "template": template}}


def test_scopes_and_messages_of_every_kind_of_node(tmp_path: Path) -> None:
    flow = workflow(
        dag(
            {"name": "a", "template": "ok"},
            borrowed("k", "pod"),
            borrowed("r", "retried"),
            borrowed("g", "group"),
            {"name": "l", "template": "ok", "withItems": ["x"]},
            {"name": "b", "template": "bad", "depends": "a && k && r && g && l"},
            {"name": "c", "template": "ok", "depends": "b"},
        ),
        shell("ok", "true"),
        shell("bad", "exit 3"),
    )
    old = execute(tmp_path, flow, context=[LIBRARY])
    options = RunOptions(store=tmp_path / "store", handle_signals=False)
    new = again.prepare_resubmit(old.name, options=options, memoized=True).execute()
    nodes = {
        node["name"].removeprefix(new.name): (node["type"], node["phase"], node["templateScope"])
        for node in new.workflow["status"]["nodes"].values()
    }
    was, now = f"local/{old.name}", f"local/{new.name}"
    assert nodes == {
        "": ("DAG", "Failed", was),
        ".a": ("Skipped", "Skipped", was),
        ".k": ("Skipped", "Skipped", was),
        ".r": ("Retry", "Succeeded", was),
        ".r(0)": ("Skipped", "Skipped", was),
        ".g": ("Steps", "Succeeded", was),
        ".g[0]": ("StepGroup", "Succeeded", "namespaced/lib"),
        ".g[0].in": ("Skipped", "Skipped", "namespaced/lib"),
        ".l": ("TaskGroup", "Succeeded", was),
        ".l(0:x)": ("Skipped", "Skipped", was),
        ".b": ("Pod", "Failed", was),  # done again in place
        ".c": ("Skipped", "Omitted", now),
    }
    messages = {
        node["name"].removeprefix(new.name): node.get("message")
        for node in new.workflow["status"]["nodes"].values()
    }
    before = {
        node["name"].removeprefix(old.name): node["id"] for node in old.workflow["status"]["nodes"].values()
    }
    for name, (kind, phase, _) in nodes.items():
        if (kind, phase) == ("Skipped", "Skipped"):
            assert messages[name] == f"original pod: {before[name]}"
    assert messages[".b"] == "main: Error (exit code 3)"
    assert messages[".c"] == "omitted: depends condition not met"


@pytest.mark.parametrize("retried", [False, True])
@pytest.mark.parametrize("loop", [False, True])
def test_what_failed_is_done_again_once(tmp_path: Path, retried: bool, loop: bool) -> None:
    """Within steps, in loops and retried, too; nothing of the failure stays."""
    strategy: dict[str, Json] = {"retryStrategy": {"limit": 1}} if retried else {}
    bad = shell("bad", 'echo x >> "$HERE/count"; test -e "$HERE/good"', **strategy)
    bad["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    items: dict[str, Json] = {"withItems": [1, 2]} if loop else {}
    inner = {"name": "inner", "steps": [[{"name": "s", "template": "bad", **items}]]}
    flow = workflow(dag({"name": "t", "template": "inner"}), inner, bad)
    old = execute(tmp_path, flow)
    assert old.phase == "Failed"
    (tmp_path / "count").unlink()
    (tmp_path / "good").touch()
    options = RunOptions(store=tmp_path / "store", handle_signals=False)
    new = again.prepare_resubmit(old.name, options=options, memoized=True).execute()
    assert new.phase == "Succeeded"
    assert len((tmp_path / "count").read_text().split()) == (2 if loop else 1)
    assert {node["phase"] for node in new.workflow["status"]["nodes"].values()} == {"Succeeded"}
    assert not [node for node in new.workflow["status"]["nodes"].values() if node.get("message")]
