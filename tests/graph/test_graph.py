"""Drawing the planned graph: everything is there, nothing in a name can break the picture, boxes do not overlap."""

from __future__ import annotations

import json
import re
import xml.dom.minidom
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.errors import RefusedError
from tiphys.graph import Group, PlannedItem, plan, render
from tiphys.graph.layout import Drawing, layered

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '</svg><script>alert(1)</script>"\'&]]>;end"]\n%% x\x00\x1b\ud800'


def dag(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A workflow whose entry is a DAG of these tasks."""
    templates = [
        {"name": "main", "dag": {"tasks": list(tasks)}},
        {"name": "t", "container": {"image": "alpine"}},
    ]
    return {
        "kind": "Workflow",
        "metadata": {"generateName": "w-"},
        "spec": {"entrypoint": "main", "templates": [*templates, *more.pop("templates", [])], **more},
    }


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Workflow", "spec": ["a"]},
        {"kind": "Workflow", "metadata": ["a"], "spec": {"entrypoint": "a"}},
        {"kind": "CronWorkflow", "spec": {"workflowSpec": ["a"]}},
        dag({"name": "b", "template": "t", "hooks": ["a"]}),
        dag({"name": "b", "template": "t"}, hooks=["a"]),
        dag({"name": "b", "template": "t"}, arguments=["a"]),
        dag({"name": "b", "template": "u"}, templates=[{"name": "u", "synchronization": ["a"]}]),
    ],
)
def test_what_is_none_of_its_kind_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        render(document)
    assert caught.value.code == "TIP298"


def titles(group: Group) -> list[str]:
    return [item.title for item in group.items]


def edges(group: Group) -> set[tuple[str, str, str]]:
    names = {item.key: item.title for item in group.items}
    return {(names[e.source], names[e.target], e.label) for e in group.edges}


def find(group: Group, title: str) -> PlannedItem:
    return next(item for item in group.items if item.title == title)


def test_depends_and_dependencies_are_edges() -> None:
    found = plan(
        dag(
            {"name": "a", "template": "t"},
            {"name": "b-2", "template": "t", "depends": "a.Succeeded && !a.Daemoned"},
            {"name": "c", "template": "t", "dependencies": ["a", "b-2"]},
            {"name": "d", "template": "t", "depends": "(b-2.Failed || b-2.Errored) && c"},
            {"name": "e", "template": "t", "depends": "c.Succeeded || c.Skipped || c.Omitted"},
        )
    ).main
    assert edges(found) >= {
        ("a", "c", ""),
        ("b-2", "c", ""),
        ("c", "d", ""),
        ("b-2", "d", "failed or errored"),
        ("c", "e", "if any"),
    }


def test_steps_follow_each_other_in_groups() -> None:
    workflow = dag()
    workflow["spec"]["templates"][0] = {
        "name": "main",
        "steps": [
            [{"name": "a", "template": "t"}],
            [{"name": "b", "template": "t"}, {"name": "c", "template": "t"}],
            [{"name": "d", "template": "t"}],
        ],
    }
    found = plan(workflow).main
    assert edges(found) == {("a", "b", ""), ("a", "c", ""), ("b", "d", ""), ("c", "d", "")}


def test_a_jobset_has_as_many_workers_as_run_at_once() -> None:
    manifest = (
        '{"kind": "JobSet", "spec": {"replicatedJobs": [{"replicas": 1, "template": {"parallelism": 3}}]}}'
    )
    workflow = dag({"name": "a", "template": "t"})
    workflow["spec"]["templates"][1:] = [
        {"name": "t", "resource": {"action": "create", "manifest": manifest}}
    ]
    assert find(plan(workflow).main, "a").subtitle == "t · JobSet, 3 workers"


@pytest.mark.parametrize(
    ("kind", "spec", "workers"),
    [
        ("PyTorchJob", {"Master": {"replicas": 1}, "Worker": {"replicas": 2}}, 3),
        ("XGBoostJob", {"Master": {"replicas": 1}}, 1),
        ("MPIJob", {"Launcher": {"replicas": 1}, "Worker": {"replicas": 4}}, 4),  # a launcher does not train
        ("RayJob", {"replicas": 2, "minReplicas": 2}, 2),
        ("TrainJob", {"trainer": {"numNodes": 3}}, 3),
    ],
)
def test_jobs_of_other_kinds_are_trainings(kind: str, spec: dict[str, object], workers: int) -> None:
    workflow = dag({"name": "a", "template": "t"})
    manifest = json.dumps({"kind": kind, "spec": spec})
    workflow["spec"]["templates"][1:] = [
        {"name": "t", "resource": {"action": "create", "manifest": manifest}}
    ]
    found = find(plan(workflow).main, "a")
    assert (found.kind, found.subtitle) == ("training", f"t · {kind}, {workers} worker{'s' * (workers > 1)}")


def test_the_mission_is_drawn_whole() -> None:
    from tiphys.compiler.compile import documents

    found = plan(documents(ROOT / "pipelines" / "fashion_mnist.py")[-1])
    names = titles(found.main)
    assert names[:7] == ["fingerprint", "ingest", "expect", "cnn", "dropout", "batch-norm", "hand-in-cnn"]
    assert names.index("enough") < names.index("select") < names.index("gate-first")
    cnn = find(found.main, "cnn")
    assert cnn.inner is not None and titles(cnn.inner) == ["train", "evaluate", "deploy", "claim", "expose"]
    train = find(cnn.inner, "train")
    assert (train.kind, train.subtitle) == ("training", "TFJob, 2 workers")
    assert {b.kind for b in train.badges} >= {"cache", "lock"}
    assert any("semaphore training-2" in line for line in train.details)
    deploy = find(cnn.inner, "deploy")
    assert (deploy.kind, deploy.subtitle) == ("serving", "Deployment, 2 replicas")
    assert "if" not in deploy.subtitle
    assert any("serve == 'early' && evaluate.accuracy >= min-accuracy" in line for line in deploy.details)
    assert found.exit is not None and titles(found.exit) == ["stop-training", "stop-serving"]
    assert ("epochs", "10", "") in found.parameters or any(n == "epochs" for n, _, _ in found.parameters)


def test_conditions_loops_retries_and_locks_are_marked() -> None:
    item = find(
        plan(
            dag(
                {"name": "a", "template": "x", "when": "{{inputs.parameters.n}} > 3", "withItems": [1, 2]},
                templates=[
                    {
                        "name": "x",
                        "container": {"image": "i"},
                        "retryStrategy": {"limit": 2},
                        "memoize": {"key": "k", "maxAge": "1h"},
                        "synchronization": {"mutexes": [{"name": "m"}]},
                    }
                ],
            )
        ).main,
        "a",
    )
    assert {b.kind: b.text for b in item.badges} == {
        "when": "n > 3",
        "loop": "for each of [1, 2]",
        "cache": "results are reused for 1h",
        "lock": "mutex m",
        "retry": "up to 2 more times",
    }


def test_a_retry_that_only_guards_against_lost_pods_is_not_marked() -> None:
    retry = {"limit": 2, "expression": "lastRetry.status == 'Error'"}
    step = {"name": "x", "container": {"image": "i"}, "retryStrategy": retry}
    item = find(plan(dag({"name": "a", "template": "x"}, templates=[step])).main, "a")
    assert item.badges == []


def test_a_step_whose_cache_stands_around_it_is_drawn_as_one() -> None:
    found = plan(
        dag(
            {"name": "a", "template": "fit"},
            templates=[
                {
                    "name": "fit",
                    "memoize": {"key": "k", "maxAge": "1h"},
                    "dag": {"tasks": [{"name": "run", "template": "fit-run"}]},
                },
                {"name": "fit-run", "container": {"image": "busybox"}, "retryStrategy": {"limit": 1}},
            ],
        )
    ).main
    item = find(found, "a")
    assert (item.kind, item.subtitle, item.inner) == ("step", "fit · busybox", None)
    assert [b.kind for b in item.badges] == ["cache", "retry"]


def test_recursion_ends() -> None:
    found = plan(
        dag(
            {"name": "a", "template": "again"},
            templates=[{"name": "again", "steps": [[{"name": "b", "template": "again"}]]}],
        )
    ).main
    inner = find(found, "a").inner
    assert inner is not None and find(inner, "b").kind == "recursion"


def test_references_inline_templates_hooks_and_exit_handlers() -> None:
    found = plan(
        dag(
            {"name": "r", "templateRef": {"name": "lib", "template": "x"}},
            {"name": "i", "inline": {"container": {"image": "busybox"}}, "onExit": "t"},
            {"name": "h", "template": "t", "hooks": {"exit": {"template": "t"}}},
            {"name": "u", "template": "gone"},
            onExit="t",
        )
    )
    assert find(found.main, "r").subtitle == "lib/x"
    assert find(found.main, "i").subtitle == "busybox"
    assert {(a, b) for a, b, label in edges(found.main) if label == "on exit"} == {("i", "t"), ("h", "t")}
    assert find(found.main, "u").kind == "reference"
    assert found.exit is not None


@pytest.mark.parametrize(
    "workflow",
    [
        {"kind": "Workflow", "spec": {"workflowTemplateRef": {"name": "lib"}}},
        {"kind": "CronWorkflow", "spec": {"workflowSpec": dag({"name": "a", "template": "t"})["spec"]}},
        {**dag({"name": "a", "template": "t"}), "kind": "WorkflowTemplate"},
    ],
)
def test_other_kinds(workflow: dict[str, Any]) -> None:
    xml.dom.minidom.parseString(render(workflow, "svg"))


@pytest.mark.parametrize(
    "workflow, words",
    [
        (
            {"kind": "Workflow", "spec": {"entrypoint": "mian", "templates": [{"name": "main"}]}},
            "Did you mean 'main'?",
        ),
        ({"kind": "Workflow", "spec": {}}, "no entrypoint"),
        ({"kind": "ConfigMap"}, "no workflow"),
    ],
)
def test_what_cannot_be_drawn_is_refused(workflow: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        render(workflow)
    assert caught.value.code == "TIP250" and words in caught.value.message


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        render(dag(), "svgg")  # type: ignore[arg-type]
    assert "Did you mean 'svg'?" in caught.value.message


def hostile(text: str) -> dict[str, Any]:
    workflow = dag(
        {"name": text, "template": text, "when": text, "withParam": text},
        {"name": "b", "template": "t", "depends": text},
        templates=[{"name": text, "container": {"image": text}}],
    )
    workflow["metadata"]["annotations"] = {
        "workflows.argoproj.io/title": text,
        "workflows.argoproj.io/description": text,
    }
    workflow["spec"]["arguments"] = {"parameters": [{"name": text, "value": text, "description": text}]}
    return workflow


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


@given(st.text(max_size=60) | st.just(HOSTILE))
@settings(deadline=None, max_examples=60)
def test_no_text_can_break_out(text: str) -> None:
    workflow = hostile(text)
    svg = render(workflow, "svg")
    xml.dom.minidom.parseString(svg.encode("utf-8"))
    tags = Tags()
    tags.feed(render(workflow, "html"))
    assert "script" not in tags.found and "a" not in tags.found
    mermaid = render(workflow, "mermaid")
    for line in mermaid.splitlines()[1:]:
        assert re.fullmatch(
            r' +(n\d+\["[^"]*"\]:::\w+|subgraph \w+\["[^"]*"\]|end|n\d+ --> n\d+|n\d+ -\. "[^"]*" \.-> n\d+'
            r"|classDef \w+ fill:#\w+,stroke:#\w+,color:#\w+)",
            line,
        ), line


def test_pictures_load_nothing_from_elsewhere() -> None:
    for kind in ("svg", "html"):
        text = render(ROOT / "pipelines" / "fashion_mnist.py", kind)
        assert set(re.findall(r"https?://[^\"'<\s]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert "<script" not in text and "@import" not in text and "url(" not in text


def overlaps(drawing: Drawing) -> list[tuple[str, str]]:
    boxes = list(drawing.places.items())
    return [
        (a, b)
        for i, (a, p) in enumerate(boxes)
        for b, q in boxes[i + 1 :]
        if p.x < q.x + q.width - 0.01
        and q.x < p.x + p.width - 0.01
        and p.y < q.y + q.height - 0.01
        and q.y < p.y + p.height - 0.01
    ]


graphs = st.integers(1, 14).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.integers(20, 300), st.integers(20, 120)), min_size=n, max_size=n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3 * n),
    )
)


@given(graphs)
@settings(deadline=None)
def test_boxes_never_overlap_and_edges_go_down(
    graph: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    sizes = {f"k{i}": (float(w), float(h)) for i, (w, h) in enumerate(graph[0])}
    lines = [(f"k{a}", f"k{b}") for a, b in graph[1]]
    drawing = layered(sizes, lines)
    assert set(drawing.places) == set(sizes)
    assert overlaps(drawing) == []
    for place in drawing.places.values():
        assert place.x >= -0.01 and place.x + place.width <= drawing.width + 0.01
        assert place.y >= 0 and place.y + place.height <= drawing.height + 0.01
    acyclic = [(a, b) for a, b in lines if int(a[1:]) < int(b[1:])]
    drawing = layered(sizes, acyclic)
    for source, target in acyclic:
        assert drawing.places[source].y < drawing.places[target].y


def test_a_thousand_tasks_are_drawn() -> None:
    tasks = [
        {"name": f"t{i}", "template": "t", **({"depends": f"t{i - 1} && t{i // 2}"} if i else {})}
        for i in range(1000)
    ]
    assert render(dag(*tasks), "svg").count("<title>") == 1001
