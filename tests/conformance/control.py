"""What the real controller makes of stop, terminate, suspend, resume, retry and resubmit: cases, and their recorder.

    python -m tests.conformance.control [NAME ...]

Needs ``argo`` and ``kubectl`` on PATH and KUBECONFIG set. Writes ``control.json``, which the tests compare the verbs
for local runs with (tests/engine/test_control_parity.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Json = Any

__all__ = ["CASES", "RECORDS", "clean", "load_records"]

RECORDS = Path(__file__).with_name("control.json")
_DONE = ("Succeeded", "Failed", "Error")

_CHECK = """
  - name: check
    inputs: {parameters: [{name: word, value: "yes"}]}
    container:
      image: busybox
      command: [sh, -c, 'test "{{inputs.parameters.word}}" = "yes"']
  - name: ok
    container: {image: busybox, command: [sh, -c, 'true']}
  - name: bad
    container: {image: busybox, command: [sh, -c, 'exit 3']}
  - name: slow
    container: {image: busybox, command: [sleep, '60']}
"""
_ARGUMENTS = """
  arguments: {parameters: [{name: word, value: "no"}]}"""
_WORD = '{parameters: [{name: word, value: "{{workflow.parameters.word}}"}]}'


def _workflow(templates: str, more: str = "") -> str:
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: ctl-}\nspec:\n  entrypoint: main"
    return f"{head}{_ARGUMENTS}{more}\n  templates:{_CHECK}{templates}"


_STEPS = _workflow(f"""
  - name: main
    steps:
    - - {{name: a, template: ok}}
    - - {{name: b, template: check, arguments: {_WORD}}}
      - {{name: b2, template: ok}}
    - - {{name: c, template: ok}}
""")
_DAG = _workflow(f"""
  - name: main
    dag:
      tasks:
      - {{name: a, template: ok}}
      - {{name: b, template: check, arguments: {_WORD}, depends: a}}
      - {{name: c, template: ok, depends: b}}
      - {{name: d, template: ok, depends: b.Failed}}
      - {{name: e, template: ok, depends: a}}
""")
_LOOP = _workflow("""
  - name: main
    steps:
    - - {name: outer, template: inner}
  - name: inner
    dag:
      tasks:
      - name: l
        template: check
        arguments: {parameters: [{name: word, value: "{{item}}"}]}
        withParam: '["yes", "{{workflow.parameters.word}}"]'
      - {name: after, template: ok, depends: l}
""")
_RETRIED = _workflow(f"""
  - name: main
    steps:
    - - {{name: a, template: often, arguments: {_WORD}}}
  - name: often
    retryStrategy: {{limit: 1}}
    inputs: {{parameters: [{{name: word}}]}}
    container:
      image: busybox
      command: [sh, -c, 'test "{{{{inputs.parameters.word}}}}" = "yes"']
""")
_RETRIED_STEPS = _workflow(f"""
  - name: main
    steps:
    - - {{name: a, template: often, arguments: {_WORD}}}
  - name: often
    retryStrategy: {{limit: 1}}
    inputs: {{parameters: [{{name: word}}]}}
    steps:
    - - name: inner
        template: check
        arguments: {{parameters: [{{name: word, value: "{{{{inputs.parameters.word}}}}"}}]}}
""")
_SKIPPED = _workflow(f"""
  - name: main
    steps:
    - - {{name: s, template: ok, when: '{{{{workflow.parameters.word}}}} == yes'}}
      - {{name: a, template: check, arguments: {_WORD}}}
""")
_EXIT = _workflow(
    f"""
  - name: main
    steps:
    - - {{name: a, template: check, arguments: {_WORD}}}
""",
    "\n  onExit: ok",
)
_EXIT_BAD = _workflow(
    """
  - name: main
    steps:
    - - {name: a, template: ok}
  - name: leave
    container:
      image: busybox
      command: [sh, -c, 'test "{{workflow.parameters.word}}" = "yes"']
""",
    "\n  onExit: leave",
)
_HOOKS = _workflow(f"""
  - name: main
    dag:
      tasks:
      - name: a
        template: ok
        hooks: {{exit: {{template: ok}}, did: {{template: ok, expression: 'tasks.a.status == "Succeeded"'}}}}
      - name: b
        template: check
        arguments: {_WORD}
        depends: a
        hooks: {{exit: {{template: ok}}}}
""")
_WAIT = _workflow("""
  - name: main
    steps:
    - - {name: a, template: ok}
    - - {name: approve, template: wait}
    - - name: b
        template: check
        arguments: {parameters: [{name: word, value: "{{steps.approve.outputs.parameters.word}}"}]}
  - name: wait
    suspend: {}
    outputs: {parameters: [{name: word, valueFrom: {supplied: {}, default: "yes"}}]}
""")
_LONG = _workflow(
    """
  - name: main
    steps:
    - - {name: a, template: slow}
    - - {name: b, template: ok}
""",
    "\n  onExit: ok",
)
_LATER = _workflow("""
  - name: main
    steps:
    - - {name: a, template: nap}
    - - {name: b, template: ok}
  - name: nap
    container: {image: busybox, command: [sleep, '4']}
""")
_ON = _workflow(f"""
  - name: main
    steps:
    - - {{name: a, template: check, arguments: {_WORD}, continueOn: {{failed: true}}}}
    - - {{name: b, template: bad}}
""")
_OUT = _workflow(f"""
  - name: main
    dag:
      tasks:
      - {{name: a, template: say}}
      - name: b
        template: check
        depends: a
        arguments: {{parameters: [{{name: word, value: "{{{{tasks.a.outputs.parameters.said}}}}"}}]}}
      - {{name: c, template: check, arguments: {_WORD}, depends: b}}
  - name: say
    container: {{image: busybox, command: [sh, -c, 'echo -n yes > /tmp/said']}}
    outputs: {{parameters: [{{name: said, globalName: told, valueFrom: {{path: /tmp/said}}}}]}}
""")

_YES = "-p word=yes"
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "retry-steps": (_STEPS, ("wait", f"retry {_YES}", "wait")),
    "retry-steps-same": (_STEPS, ("wait", "retry", "wait")),
    "retry-dag": (_DAG, ("wait", f"retry {_YES}", "wait")),
    "retry-dag-same": (_DAG, ("wait", "retry", "wait")),
    "retry-loop": (_LOOP, ("wait", f"retry {_YES}", "wait")),
    "retry-loop-same": (_LOOP, ("wait", "retry", "wait")),
    "retry-retried": (_RETRIED, ("wait", f"retry {_YES}", "wait")),
    "retry-retried-same": (_RETRIED, ("wait", "retry", "wait")),
    "retry-skipped": (_SKIPPED, ("wait", f"retry {_YES}", "wait")),
    "retry-exit": (_EXIT, ("wait", f"retry {_YES}", "wait")),
    "retry-exit-bad": (_EXIT_BAD, ("wait", f"retry {_YES}", "wait")),
    "retry-hooks": (_HOOKS, ("wait", f"retry {_YES}", "wait")),
    "retry-continued": (_ON, ("wait", f"retry {_YES}", "wait")),
    "retry-outputs": (_OUT, ("wait", f"retry {_YES}", "wait")),
    "retry-succeeded": (
        _STEPS.replace('value: "no"', 'value: "yes"', 1),
        ("wait", "retry", "retry --restart-successful --node-field-selector displayName=b", "wait"),
    ),
    "retry-succeeded-dag": (
        _DAG.replace('value: "no"', 'value: "yes"', 1),
        ("wait", "retry --restart-successful --node-field-selector displayName=a", "wait"),
    ),
    "retry-failed-and-more": (
        _DAG,
        ("wait", f"retry --restart-successful --node-field-selector displayName=a {_YES}", "wait"),
    ),
    "retry-stopped": (_LONG.replace("'60'", "'30'"), ("pod", "stop", "wait", "retry", "pod", "stop", "wait")),
    "retry-terminated": (_LONG, ("pod", "terminate", "wait", "retry", "pod", "terminate", "wait")),
    "stop": (_LONG, ("pod", "stop", "wait")),
    "terminate": (_LONG, ("pod", "terminate", "wait")),
    "stop-suspended": (_WAIT, ("suspended", "stop", "wait", "retry", "wait")),
    "stop-node": (
        _WAIT,
        (
            "suspended",
            "stop --node-field-selector displayName=approve --message because",
            "wait",
            "retry",
            "wait",
        ),
    ),
    "resume": (_WAIT, ("suspended", "resume", "wait")),
    "resume-node": (_WAIT, ("suspended", "resume --node-field-selector displayName=approve", "wait")),
    "resume-nothing": (
        _WAIT,
        ("suspended", "resume --node-field-selector displayName=none", "resume", "wait"),
    ),
    "set": (
        _WAIT,
        (
            "suspended",
            "node set --node-field-selector displayName=approve --output-parameter word=no",
            "resume",
            "wait",
            "retry",
            "wait",
        ),
    ),
    "resume-no-default": (_WAIT.replace(', default: "yes"', ""), ("suspended", "resume", "stop", "wait")),
    "set-resume": (
        _WAIT.replace(', default: "yes"', ""),
        (
            "suspended",
            "node set --node-field-selector displayName=approve --output-parameter word=yes",
            "resume --node-field-selector displayName=approve",
            "wait",
        ),
    ),
    "retry-attempts-of-steps": (_RETRIED_STEPS, ("wait", f"retry {_YES}", "wait")),
    "suspend": (_LATER, ("pod", "suspend", "sleep 8", "resume", "wait")),
    "resubmit": (_STEPS, ("wait", f"resubmit {_YES}", "wait")),
    "resubmit-memoized": (_STEPS, ("wait", f"resubmit --memoized {_YES}", "wait")),
    "resubmit-memoized-dag": (_DAG, ("wait", f"resubmit --memoized {_YES}", "wait")),
    "resubmit-memoized-outputs": (_OUT, ("wait", f"resubmit --memoized {_YES}", "wait")),
    "resubmit-memoized-loop": (_LOOP, ("wait", f"resubmit --memoized {_YES}", "wait")),
    "resubmit-memoized-succeeded": (
        _STEPS.replace('value: "no"', 'value: "yes"', 1),
        ("wait", "resubmit --memoized", "wait"),
    ),
    "ended": (_STEPS, ("wait", "stop", "terminate", "suspend", "resume")),
}
"""Name -> (YAML, what is done). ``pod`` waits for a running pod, ``suspended`` for a waiting suspend node."""


def load_records() -> dict[str, list[dict[str, Json]]]:
    """What the controller made of the cases: after each ``wait`` the workflow, after each verb its exit code."""
    found: dict[str, list[dict[str, Json]]] = json.loads(RECORDS.read_text())
    return found


def clean(workflow: dict[str, Json], names: list[str]) -> dict[str, Json]:
    """Keep what is the same in each run; ``names`` are those of the workflow and of what it was made from."""
    status = workflow.get("status") or {}
    nodes = status.get("nodes") or {}
    known: dict[str, str] = {}
    for index, name in enumerate(names):
        known[name] = "WF" + "0" * (len(names) - 1 - index)
    ids = {node["id"]: node["name"] for node in nodes.values()}

    def text(value: str) -> str:
        for identity, node in ids.items():
            if identity not in known:
                value = value.replace(identity, f"ID({node})")
        value = re.sub(r"original pod: \S+", "original pod: ID", value)
        for name in reversed(names):
            value = value.replace(name, known[name])
        return value

    def scrub(value: Json) -> Json:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, list):
            return [scrub(item) for item in value]
        return {key: scrub(item) for key, item in value.items()} if isinstance(value, dict) else value

    made: dict[str, Json] = {}
    for node in nodes.values():
        outputs = {
            key: value
            for key, value in (node.get("outputs") or {}).items()
            if key in ("parameters", "result", "exitCode")
        }
        made[text(node["name"])] = scrub(
            {
                "type": node["type"],
                "phase": node["phase"],
                "message": node.get("message", ""),
                "displayName": node["displayName"],
                "children": sorted(ids.get(child, "?") for child in node.get("children") or ()),
                "outputs": outputs,
            }
        )
    labels = (workflow.get("metadata") or {}).get("labels") or {}
    kept = (
        "workflows.argoproj.io/phase",
        "workflows.argoproj.io/completed",
        "workflows.argoproj.io/resubmitted-from-workflow",
    )
    return {
        "phase": status.get("phase", ""),
        "message": text(status.get("message", "")),
        "shutdown": workflow["spec"].get("shutdown", ""),
        "parameters": {
            item["name"]: item.get("value")
            for item in (workflow["spec"].get("arguments") or {}).get("parameters") or ()
        },
        "outputs": scrub(
            {
                item["name"]: item.get("value")
                for item in (status.get("outputs") or {}).get("parameters") or ()
            }
        ),
        "labels": {key: text(value) for key, value in sorted(labels.items()) if key in kept},
        "progress": status.get("progress", ""),
        "nodes": made,
    }


def _argo(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["argo", *words], input=stdin, capture_output=True, text=True, check=False, timeout=90
    )


def _get(name: str) -> dict[str, Json]:
    found: dict[str, Json] = json.loads(_argo("get", name, "-o", "json").stdout)
    return found


def _until(name: str, what: str, limit: float = 75.0) -> dict[str, Json]:
    begin = time.monotonic()
    while True:
        workflow = _get(name)
        status = workflow.get("status") or {}
        nodes = (status.get("nodes") or {}).values()
        kind = {"pod": "Pod", "suspended": "Suspend"}.get(what)
        if kind and any(node["type"] == kind and node["phase"] == "Running" for node in nodes):
            return workflow
        if what == "wait" and status.get("finishedAt") and status.get("phase") in _DONE:
            return workflow
        if time.monotonic() - begin > limit:
            raise TimeoutError(f"{name}: {what}: {status.get('phase')}")
        time.sleep(0.7)


def _record(text: str, steps: tuple[str, ...]) -> list[dict[str, Json]]:
    names = [_argo("submit", "-", "-o", "name", stdin=text).stdout.strip()]
    found: list[dict[str, Json]] = []
    for step in steps:
        verb, *rest = step.split()
        if verb in ("wait", "pod", "suspended"):
            try:
                workflow = _until(names[-1], verb)
            except TimeoutError:
                workflow = _get(names[-1])
                workflow["status"]["phase"] += " for ever"
            if verb == "wait":
                time.sleep(1.5)
                found.append(
                    {
                        "step": step,
                        **clean(
                            _get(names[-1]) if "ever" not in workflow["status"]["phase"] else workflow, names
                        ),
                    }
                )
        elif verb == "sleep":
            time.sleep(float(rest[0]))
            found.append({"step": step, **clean(_get(names[-1]), names)})
        else:
            at = 2 if verb == "node" else 1
            words = step.split()
            words.insert(at, names[-1])
            if verb == "resubmit":
                words += ["-o", "name"]
            done = _argo(*words)
            error = done.stderr.strip() if done.returncode else ""
            for name in names:
                error = error.replace(name, "WF")
            found.append({"step": step, "code": done.returncode, "error": error[-300:]})
            if verb == "resubmit" and done.returncode == 0:
                names.append(done.stdout.strip())
    for name in names:
        _argo("delete", name)
    return found


def main() -> None:
    """Record the named cases, or all, and keep them."""
    records = load_records() if RECORDS.exists() else {}
    for name in sys.argv[1:] or CASES:
        try:
            records[name] = _record(*CASES[name])
        except Exception as error:  # noqa: BLE001  the others are still wanted
            sys.stdout.write(f"{name}: {type(error).__name__} {error}\n")
            continue
        RECORDS.write_text(json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        sys.stdout.write(f"{name}: {[item.get('phase', item.get('code')) for item in records[name]]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
