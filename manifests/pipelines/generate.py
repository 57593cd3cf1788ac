"""Make the WorkflowTemplate and the CronWorkflow of the Fashion-MNIST pipeline from its compiled YAML.

python manifests/pipelines/generate.py [COMPILED.yaml]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
COMPILED = HERE.parent.parent / "tests" / "golden" / "fashion-mnist.yaml"
NAME = "fashion-mnist"
# (0 means Sunday) a week is shorter than the two weeks for which the caches hold
SCHEDULE = "0 3 * * 0"


class _Text(str):
    """A string that is written quoted: no reader of YAML can take it for a number or a boolean."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Text, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')
)


def quoted(value: Any) -> Any:
    """The value with every string, keys excepted, marked to be quoted."""
    if isinstance(value, dict):
        return {key: quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [quoted(item) for item in value]
    return _Text(value) if isinstance(value, str) else value


def dump(value: Any) -> str:
    head = "# Made by manifests/pipelines/generate.py: do not edit.\n"
    return head + yaml.dump(quoted(value), Dumper=_Dumper, sort_keys=False, width=1 << 20, allow_unicode=True)


def objects(compiled: str) -> dict[str, Any]:
    """The objects by file name."""
    documents = list(yaml.safe_load_all(compiled))
    workflow = next(item for item in documents if item["kind"] == "Workflow")
    metadata = workflow["metadata"]
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": NAME, **({"labels": labels} if labels else {}), "annotations": annotations},
        "spec": {
            **workflow["spec"],
            # what `argo submit --from workflowtemplate/fashion-mnist` puts on the run
            "workflowMetadata": {**({"labels": labels} if labels else {}), "annotations": annotations},
        },
    }
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {
            "name": f"{NAME}-weekly",
            "annotations": {
                "workflows.argoproj.io/title": "Fashion-MNIST, weekly",
                "workflows.argoproj.io/description": "Runs the template; unchanged steps are hits",
            },
        },
        "spec": {
            "suspend": True,  # an administrator decides: kubectl patch cronworkflow fashion-mnist-weekly ...
            "schedules": [SCHEDULE],
            "timezone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "workflowSpec": {"workflowTemplateRef": {"name": NAME}},
        },
    }
    return {"workflow-template.yaml": template, "cron-workflow.yaml": cron}


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else COMPILED
    for name, value in objects(source.read_text()).items():
        json.dumps(value)  # nothing but JSON types
        (HERE / name).write_text(dump(value))


if __name__ == "__main__":
    main()
