"""The page of a step: what it was, and why it came from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.page.visits import visitor
from tiphys.engine import RunOptions, run

CACHED: Any = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "dag": {"tasks": [{"name": "make", "template": "make"}]}},
            {
                "name": "make",
                "memoize": {"key": "one", "maxAge": "1h", "cache": {"configMap": {"name": "makes"}}},
                "container": {"image": "x", "command": ["true"]},
            },
        ],
    },
}


def test_a_hit_leads_to_the_run_that_made_it(tmp_path: Path) -> None:
    for name in ("first", "second"):
        run({**CACHED, "metadata": {"name": name}}, options=RunOptions(store=tmp_path, images={"*": "host"}))
    with visitor(tmp_path) as client:

        def page(name: str) -> str:
            workflow: Any = client.desk.board.get(name)
            node = next(
                key for key, each in workflow["status"]["nodes"].items() if each["displayName"] == "make"
            )
            return client.get(f"/ui/runs/{name}/steps/{node}").text

        assert "no earlier result" in page("first")
        assert "Why it was taken from the cache" in page("second") and "/ui/runs/first" in page("second")
        assert client.get("/ui/runs/first/steps/none").status_code == 404
