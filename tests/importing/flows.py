"""Workflows for the tests of imports, and what becomes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import tiphys
from tiphys.argo.reader import read_text
from tiphys.engine import RunOptions
from tiphys.importing import Imported, import_argo
from tiphys.importing.check import made_by

HEAD = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: flow-}
spec:
  entrypoint: main
"""
SAY = """
  - name: say
    inputs: {parameters: [{name: text}]}
    container: {image: "alpine:3.20", command: [echo], args: ["{{inputs.parameters.text}}"]}
"""


def flow(main: str, more: str = "", spec: str = "") -> str:
    """A workflow of the template ``main`` (indented by four) and ``say``."""
    return f"{HEAD}{spec}  templates:\n  - name: main\n{main}{SAY}{more}"


def imported(text: str) -> tuple[Imported, dict[str, Any]]:
    """What a text becomes, and the object that its Python compiles to."""
    made = import_argo(text)
    name = "build" if "def build(" in made.source else "pipeline"
    compiled: Any = made_by(made.source, name)
    return made, compiled


def templates(compiled: dict[str, Any]) -> dict[str, Any]:
    spec = compiled["spec"].get("workflowSpec") or compiled["spec"]
    return {each["name"]: each for each in spec["templates"]}


def tasks(compiled: dict[str, Any], name: str = "main") -> dict[str, Any]:
    return {each["name"]: each for each in templates(compiled)[name]["dag"]["tasks"]}


def outcome(x: Any, folder: Path) -> tuple[str, Counter[tuple[str, str]]]:
    """The phase of a run, and of each pod that ran or was skipped its phase and outputs."""
    given = read_text(x)[0].data if isinstance(x, str) else x
    options = RunOptions(store=folder, runner="sandbox", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(given, options=options)
    nodes = result.workflow["status"].get("nodes", {}).values()
    leaves = [each for each in nodes if each["type"] in ("Pod", "Skipped")]
    return result.phase, Counter((each["phase"], _outputs(each)) for each in leaves)


def _outputs(node: dict[str, Any]) -> str:
    made = node.get("outputs", {})
    named = sorted((each["name"], each.get("value")) for each in made.get("parameters", ()))
    return f"{named} {made.get('result')}" if named else ""
