"""The object that a pipeline stands in, where that is no Workflow: a template, a schedule."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.argo.reader import Document
from tiphys.dsl.names import suggest
from tiphys.importing.python_text import call, value
from tiphys.importing.told import Notes
from tiphys.jsontypes import JsonObject

__all__ = ["object_blocks"]


def object_blocks(
    document: Document, notes: Notes, variable: str, suffix: str, metadata: JsonObject
) -> Iterator[str]:
    """The object that it is, where that is no Workflow: what ``tiphys compile`` takes."""
    kind, data = document.kind, document.data
    told = {"name", "generateName", "namespace", "labels", "annotations"}
    for key in sorted(set(metadata) - told):
        line = document.position(("metadata", key))[0]
        notes.add("spent", line, f"metadata.{key}", "it is the API server's")
    if data.get("status"):
        notes.add("spent", document.position(("status",))[0], "the status", "it is of a run")
    if kind == "Workflow":
        return
    spec = {key: each for key, each in (data.get("spec") or {}).items() if key != "workflowSpec"}
    name = suggest(str(metadata.get("name") or "workflow"))
    lines = [f"def build{suffix}() -> dict[str, object]:"]
    if kind == "CronWorkflow":
        schedules = spec.pop("schedules", None) or [spec.pop("schedule", "")]
        given = [value(each) for each in schedules]
        policy = spec.pop("concurrencyPolicy", None)
        words = {"Forbid": "forbid", "Replace": "replace", "Allow": "allow", None: "allow", "": "allow"}
        given.append(f"overlap={value(words.get(policy, 'allow'))}")
        for key, word in (
            ("timezone", "timezone"),
            ("suspend", "suspend"),
            ("successfulJobsHistoryLimit", "keep_succeeded"),
            ("failedJobsHistoryLimit", "keep_failed"),
        ):
            if key in spec:
                given.append(f"{word}={value(spec.pop(key))}")
        if spec.get("startingDeadlineSeconds"):
            given.append(f"starting_deadline={value(str(spec.pop('startingDeadlineSeconds')) + 's')}")
        given.append(f"name={value(name[:52].strip('-'))}")
        lines.append(call(f"{variable}.as_cron", given, "    ", "made = "))
    else:
        lines.append(call(f"{variable}.as_template", [value(name)], "    ", "made = "))
        spec = {}
    fixes: JsonObject = {}
    if kind == "ClusterWorkflowTemplate":
        fixes["kind"] = kind
    kept = {key: each for key, each in metadata.items() if key in told}
    if set(kept) - {"name"} or kept.get("name") != name:
        fixes["metadata"] = {"name": name, **kept} if "name" in kept or "generateName" not in kept else kept
    own = [f'        "{key}": {value(each, "        ")},' for key, each in fixes.items()]
    if spec:
        own.append(f'        "spec": {{**made["spec"], **{value(spec, "        ")}}},')
        for key in spec:
            line = document.position(("spec", key), key=True)[0]
            notes.add("kept", line, f"spec.{key}", "as_cron has no word for it")
    if own:
        lines += ["    return {", "        **made,", *own, "    }"]
    else:
        lines[-1] = lines[-1].replace("made = ", "return ")
    yield "\n".join(lines)
