"""What the YAML says of what a step reports (:mod:`tiphys.step.report`): where its file is, and its summary.

Only of a step whose code reports: of others the variable would name a file that never is, and the output would be one
more in every memo entry and every workflow's status. A training always has a file: its workers are what one asks about.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING

from tiphys.dsl.pod import Defaults
from tiphys.step import report as reporting

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs, Parameter
    from tiphys.jsontypes import JsonObject

__all__ = ["SUMMARY_OUTPUT", "own_outputs", "report_env", "reports", "summary_output"]

SUMMARY_OUTPUT = "tiphys-summary"
_NAMES = {"report", "keras_report"}
_THEIRS = {"tiphys", "tiphys.step.report"}


def report_env(defaults: Defaults, name: str) -> list[dict[str, str]]:
    """The file in the first of the pipeline's volumes; none where it has none. ``name``: of the pod, or what else there
    is only one of in a run."""
    if not defaults.volumes:
        return []
    path = f"{defaults.volumes[0].mount_path}/records/{{{{workflow.name}}}}/{name}.jsonl"
    return [{"name": reporting.REPORT, "value": path}]


def summary_output(folder: str) -> tuple[dict[str, str], JsonObject]:
    """The variable and the output parameter of a step's summary, which is a file of its outputs' ``folder``."""
    path = f"{folder}/{SUMMARY_OUTPUT}"
    output: JsonObject = {"name": SUMMARY_OUTPUT, "valueFrom": {"path": path, "default": "{}"}}
    return {"name": reporting.SUMMARY, "value": path}, output


def own_outputs(outputs: Outputs) -> list[Parameter]:
    """The parameters among a template's outputs without its summary."""
    return [each for each in outputs.get("parameters") or [] if each["name"] != SUMMARY_OUTPUT]


def reports(function: Callable[..., object]) -> bool:
    """Whether a function, or one of its own project that it names, calls :func:`tiphys.report` or has Keras do so."""
    seen: set[object] = set()
    look: list[object] = [getattr(function, "__wrapped__", function)]
    while look:
        each = look.pop()
        if not isinstance(each, FunctionType) or each.__code__ in seen:
            continue
        seen.add(each.__code__)
        names = set(_names(each.__code__))
        if names & _THEIRS and names & _NAMES:  # it imports them itself, or says tiphys.report
            return True
        for name in names:
            value = each.__globals__.get(name)
            if value is reporting.report or value is reporting.keras_report or value is reporting:
                return True
            if isinstance(value, ModuleType):
                look += [vars(value).get(inner) for inner in names if _own(value.__name__)]
            elif _own(getattr(value, "__module__", None) or ""):
                look.append(getattr(value, "__wrapped__", value))
    return False


def _own(module: str) -> bool:
    """Whether a module may be of an author's project: none of Python's, of what is installed, or of Tiphys itself."""
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return top not in sys.stdlib_module_names and top != "tiphys" and "site-packages" not in file


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
