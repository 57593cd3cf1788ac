"""What is printed when a run has ended: each step with its time, what failed and why, and the outputs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.nodes import FAILED, is_step, label, state
from tiphys.cli._common import Style, seconds, table
from tiphys.cli.times import Times, elapsed, since_epoch
from tiphys.reference import tail
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow

__all__ = ["failures", "summary"]


_LONG = 160  # an output of one line that is longer belongs to programs: --json shows it
_TAIL = 20_000  # bytes of a log that are looked at for its last lines


def summary(workflow: Workflow, times: Times, style: Style) -> str:
    """The steps as a table, then the workflow's own outputs.

    Steps come in the order in which ``times`` saw them first; others last, by their start.
    """
    name = workflow["metadata"]["name"]
    status = workflow.get("status") or {}
    nodes = [node for node in (status.get("nodes") or {}).values() if is_step(node)]
    shown = [node for node in nodes if node.get("type") != "Skipped" or node.get("phase") in FAILED]
    seen = {node_id: position for position, node_id in enumerate(times.nodes)}
    shown.sort(
        key=lambda node: (seen.get(node["id"], len(seen)), since_epoch(node.get("startedAt")), node["name"])
    )
    if len(shown) > 60:
        shown = [node for node in shown if node.get("phase") != "Succeeded"][:40] + shown[-20:]
    rows = [
        (
            label(node, name),
            "hit" if state(node) == "hit" else "run" if node.get("phase") == "Succeeded" else state(node),
            "" if state(node) == "hit" else seconds(times.nodes.get(node["id"]) or elapsed(node)),
        )
        for node in shown
    ]
    phase = str(status.get("phase") or "Unknown")
    colour = style.green if phase == "Succeeded" else style.red
    parts = [table(("STEP", "RESULT", "TIME"), rows)] if rows else []
    hits = sum(1 for node in nodes if state(node) == "hit")
    total = times.total
    if total is None:
        total = elapsed(status)
    steps = f"{len(nodes)} step{'' if len(nodes) == 1 else 's'}"
    parts.append(f"{style.bold(name)} {colour(phase)} in {seconds(total)}, {steps}, {hits} from the cache")
    for parameter in (status.get("outputs") or {}).get("parameters") or []:
        value = plain(str(parameter.get("value", "")))
        if "\n" in value:
            parts.append(value.rstrip("\n"))
        elif len(value) <= _LONG:
            parts.append(f"{parameter['name']}: {value}")
    return "\n\n".join(parts)


def failures(workflow: Workflow, folder: Path, style: Style, *, lines: int = 15) -> str:
    """Each failed step with its message and the end of its log; of a retried step, those of its last attempt."""
    name = workflow["metadata"]["name"]
    status = workflow.get("status") or {}
    nodes = status.get("nodes") or {}
    parts = []
    failed = [node for node in nodes.values() if is_step(node) and node.get("phase") in FAILED]
    for node in failed[:5]:
        message = node.get("message") or node.get("phase")
        attempts = [nodes[child] for child in node.get("children") or () if child in nodes]
        last = attempts[-1] if node.get("type") == "Retry" and attempts else node
        if last is not node and last.get("message"):
            message = f"{message}; attempt {len(attempts)}: {last['message']}"
        head = f"{style.red('✖')} {style.bold(plain(label(node, name)))}: {plain(str(message))}"
        log = _log(folder / "logs", last, lines)
        parts.append(head + (f"\n{log}" if log else ""))
    if len(failed) > 5:
        parts.append(f"and {len(failed) - 5} more")
    if not failed and status.get("message"):
        parts.append(f"{style.red('✖')} {plain(status['message'])}")
    return "\n\n".join(parts)


def _log(logs: Path, node: Node, lines: int) -> str:
    """The last lines of the logs of a node."""
    found: list[str] = []
    for path in sorted(logs.glob(f"{node['id']}*.log")):
        with contextlib.suppress(OSError):
            found.extend(f"    {plain(line)}" for line in tail(path, _TAIL).split("\n")[-lines - 1 :] if line)
    return "\n".join(found)
