"""Runs that are begun from the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.server.page.visits import visitor
from tests.server.running import GATE

KEPT: Any = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "ask"},
    "spec": {
        **GATE["spec"],  # type: ignore[dict-item]
        "arguments": {
            "parameters": [
                {"name": "colour", "value": "red", "enum": ["red", "blue"]},
                {"name": "count", "value": "3", "description": "How <many>"},
            ]
        },
    },
}


def test_a_template_has_a_field_for_each_parameter(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        client.desk.templates[0].create(KEPT)
        form = client.get("/ui/submit?template=ask").text
        assert "<option selected>red</option>" in form and 'value="3"' in form and "How &lt;many&gt;" in form
        made = client.fill(
            "/ui/submit", **{"template": "ask", "parameter:colour": "blue", "parameter:count": "4"}
        )
        name = made.url.rpartition("/")[2]
        run = client.desk.board.get(name)
        assert run is not None
        given = {each["name"]: each["value"] for each in run["spec"]["arguments"]["parameters"]}
        assert given == {"colour": "blue", "count": "4"}
        client.fill(f"/ui/runs/{name}/do/delete")


def test_yaml_is_taken_or_refused_with_what_was_sent(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        for wrong in ("a: [", "kind: Pod", "", "kind: Workflow\nspec: {entrypoint: [1]}"):
            refused = client.fill("/ui/submit", yaml=wrong)
            assert refused.status_code == 422 and 'role="alert"' in refused.text
        made = client.fill("/ui/submit", yaml=json.dumps({**GATE, "metadata": {"name": "pasted"}}))
        assert made.url.endswith("/ui/runs/pasted")
        client.fill("/ui/runs/pasted/do/delete")
