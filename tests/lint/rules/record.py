"""Ask ``argo lint --offline`` about the specs of specs.yaml: ``python -m tests.lint.rules.record [ARGO]``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
FINE = {"name": "main", "container": {"image": "i", "command": ["c"]}}


def workflows() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each spec as a whole Workflow: with an entrypoint and a template, where it says nothing of them."""
    for name, spec in yaml.safe_load((HERE / "specs.yaml").read_text(encoding="utf-8")).items():
        head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "a-"}}
        yield name, {**head, "spec": {"entrypoint": "main", "templates": [FINE], **spec}}


def main() -> None:
    """Record the words, empty where Argo accepts the spec."""
    argo = sys.argv[1] if len(sys.argv) > 1 else "argo"
    found = {}
    for name, workflow in workflows():
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(workflow, file)
            done = subprocess.run(
                [argo, "lint", "--offline", "--no-color", "-o", "simple", file.name],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        words = (done.stdout + done.stderr).replace(file.name, "FILE").strip()
        found[name] = words if done.returncode else ""
    RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
