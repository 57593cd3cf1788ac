"""Events read by the official client (`openlineage-python`): run by its Python, JSON lines in, JSON lines out.

Each object is made by the client's class, which checks it, and written by its serializer.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

parent = facet_v2.parent_run


def fields(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != "_schemaURL"}


def facet(name: str, value: dict[str, Any]) -> Any:
    kind = value["_schemaURL"].rpartition("/")[2]
    known = [getattr(module, kind) for module in vars(facet_v2).values() if hasattr(module, kind)]
    made = {("producer" if key == "_producer" else key): each for key, each in fields(value).items()}
    if name == "parent":
        root = value["root"]
        made |= {"run": parent.Run(**value["run"]), "job": parent.Job(**value["job"])}
        made["root"] = parent.Root(run=parent.RootRun(**root["run"]), job=parent.RootJob(**root["job"]))
    if name == "tags":
        made["tags"] = [facet_v2.tags_run.TagsRunFacetFields(**tag) for tag in value["tags"]]
    if name == "executionParameters":
        made["parameters"] = [
            facet_v2.execution_parameters_run.ExecutionParameter(**each) for each in value["parameters"]
        ]
    return known[0](**made)


def facets(value: dict[str, Any]) -> dict[str, Any]:
    return {name: facet(name, each) for name, each in value["facets"].items()}


for line in sys.stdin:
    event = json.loads(line)
    made = event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(runId=event["run"]["runId"], facets=facets(event["run"])),
        job=event_v2.Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"])),
        inputs=[
            event_v2.InputDataset(each["namespace"], each["name"], facets=facets(each))
            for each in event["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(each["namespace"], each["name"], facets=facets(each))
            for each in event["outputs"]
        ],
    )
    sys.stdout.write(json.dumps(Serde.to_dict(made)) + "\n")
