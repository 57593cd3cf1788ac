"""Record what the real controller says of the specs in fixtures/invalid.json: ``python -m tests.lint.record_invalid``.

Needs ``kubectl`` and a cluster with Argo; the workflows are deleted again. ``invalid`` holds the words after
``invalid spec: ``, and is empty where the controller begins to execute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "fixtures" / "invalid.json"


def kubectl(*arguments: str, text: str = "") -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def record(rows: list[dict[str, Any]], wait: float = 20) -> None:
    items = [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": f"invalid-{row['name']}"},
            "spec": row["spec"],
        }
        for row in rows
    ]
    names = [item["metadata"]["name"] for item in items]  # type: ignore[index]
    kubectl(
        "create",
        "--validate=false",
        "-f",
        "-",
        text=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
    )
    try:
        time.sleep(wait)  # a valid one is never told to be valid
        for row, name in zip(rows, names, strict=True):
            status = json.loads(kubectl("get", "workflow", name, "-o", "json")).get("status") or {}
            message = status.get("message") or ""
            _, found, words = message.partition("invalid spec: ")
            row["invalid"] = words if found else ""
    finally:
        kubectl("delete", "workflow", "--wait=false", *names)


if __name__ == "__main__":
    known = json.loads(FILE.read_text())
    record(known)
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in known) + "\n]\n")
    sys.stdout.write(f"{len(known)} specs, {sum(1 for row in known if row['invalid'])} invalid\n")
