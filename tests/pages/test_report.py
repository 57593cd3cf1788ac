"""The page of a run, read back by an HTML parser that is not ours (html.parser, xml.etree)."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import tiphys
from tiphys.engine import RunOptions
from tiphys.pages import report
from tiphys.records.fold import fold
from tiphys.records.record import Point

EVIL = "</style><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\u202e\x00\x1b[31m"
VOID = {"meta", "br", "img", "input", "link"}


class Page(HTMLParser):
    """What is in a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def node(number: int, name: str, phase: str = "Succeeded", **more: Any) -> dict[str, Any]:
    return {
        "id": f"n{number}",
        "name": f"r.{name}",
        "displayName": name,
        "type": "Pod",
        "phase": phase,
        "templateName": "t",
        "startedAt": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "finishedAt": f"2026-01-01T01:{number // 60 % 60:02d}:{number % 60:02d}Z",
        **more,
    }


def workflow(nodes: list[dict[str, Any]], **parameters: str) -> Any:
    root = {"id": "r", "name": "r", "type": "DAG", "phase": "Succeeded", "children": [nodes[0]["id"]]}
    return {
        "metadata": {"name": "r"},
        "spec": {
            "arguments": {"parameters": [{"name": k, "value": v} for k, v in parameters.items()]},
            "templates": [{"name": "t", "container": {"image": "x"}}],
        },
        "status": {
            "phase": "Succeeded",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T02:00:00Z",
            "nodes": {"r": root, **{each["id"]: each for each in nodes}},
        },
    }


def full() -> tuple[Any, list[Point]]:
    said = {"name": "cnn", "validation_accuracy": 0.93, "confusion": [[9, 1], [0, 10]]}
    outputs = {"parameters": [{"name": "report", "value": json.dumps(said)}]}
    made = workflow(
        [
            node(1, "train", children=["n2"]),
            node(2, "judge", outputs=outputs),
            node(3, "gone", "Failed", message="it broke", outputs={"exitCode": "137"}),
        ],
        **{"min-accuracy": "0.9"},
    )
    points = [
        Point("n1", 1767225600.0 + epoch, key, value / epoch, epoch, worker)
        for epoch in (1, 2, 3)
        for worker in ("worker-0", "worker-1")
        for key, value in (("loss", 2.0), ("accuracy", 0.5))
    ]
    points += [Point("n1", 1767225600.0 + at, "memory", 2.0**20 * at) for at in range(1, 9)]
    return made, points


def test_all_parts_are_there() -> None:
    made, points = full()
    text = report(made, fold(made, points), {"cpu": 1.0})
    page = Page(text)
    words = " ".join(page.words)
    for part in ("What failed", "Steps", "When they ran", "What they told", "What they used", "Candidates"):
        assert part in page.words, part
    for part in ("Answers for each class", "Cost", "Parameters", "it broke", "137", "an accuracy of 0.9"):
        assert part in words, part
    assert {"loss", "accuracy", "memory, MiB"} <= set(page.words)
    assert words.count("train · worker-1") >= 2


def test_it_loads_nothing_and_runs_nothing() -> None:
    made, points = full()
    page = Page(report(made, fold(made, points)))
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "href", "srcset", "xlink:href"} & names and not any(n.startswith("on") for n in names)
    values = "".join(value or "" for name, value in page.attributes if name != "xmlns")
    assert "http:" not in values and "https:" not in values and "url(" not in values


def test_each_drawing_is_xml() -> None:
    made, points = full()
    text = report(made, fold(made, points))
    drawings = text.split("<svg")[1:]
    assert len(drawings) > 4
    for each in drawings:
        ET.fromstring("<svg" + each.partition("</svg>")[0] + "</svg>")


def test_hostile_names_are_text() -> None:
    said = {"name": EVIL, "accuracy": 0.5, "confusion": [[1, 0], [0, 1]], "class_accuracy": {EVIL: 1, "b": 1}}
    outputs = {"parameters": [{"name": EVIL, "value": json.dumps(said)}]}
    made = workflow([node(1, EVIL, "Failed", message=EVIL, outputs=outputs)], **{EVIL: EVIL})
    made["metadata"] = {"name": EVIL, "generateName": EVIL, "annotations": {f"tiphys.dev/from-{EVIL}": EVIL}}
    made["status"]["message"] = EVIL
    run = fold(made, [Point("n1", 1.0, EVIL, 1.0 * at, at, EVIL) for at in (1, 2)])
    text = report(made, run)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert not {name for name, _ in page.attributes if name.startswith("on")}
    assert "\u202e" not in text and "\x1b" not in text and "\x00" not in text


def test_odd_numbers_are_no_traceback() -> None:
    values = (1e308, -1e308, float("inf"), float("nan"), 1e-320, 0.0, -0.0)
    made = workflow([node(1, "a")])
    points = [
        Point("n1", at, key, value, epoch)
        for at, value in enumerate(values)
        for key in ("loss", "memory", "cpu", "examples", "examples_per_second")
        for epoch in (0, at)
    ]
    text = report(made, fold(made, points))
    Page(text)
    numbers = re.findall(r' (?:d|x|y|cx|cy|width|height)="([^"]*)"', text)
    assert len(numbers) > 50 and not any(re.search("nan|inf", each) for each in numbers)


def test_a_run_that_has_not_begun() -> None:
    made: Any = {"metadata": {"name": "r"}, "spec": {}}
    Page(report(made, fold(made)))


def test_ten_thousand_steps_are_a_page_that_can_be_used() -> None:
    count = 10_000
    nodes = [node(place, f"s{place}", children=[f"n{place + 1}"]) for place in range(count)]
    nodes[7_000]["phase"] = "Failed"
    made = workflow(nodes)
    run = fold(made)
    began = time.process_time()
    text = report(made, run)
    assert time.process_time() - began < 20
    assert len(text) < 1_000_000
    assert "9,850 steps are left out." in text and "9,700 steps are left out." in text
    assert "s7000" in text  # what failed is not left out


def test_the_same_bytes_for_the_same_run() -> None:
    made, points = full()
    assert report(made, fold(made, points)) == report(
        json.loads(json.dumps(made)), fold(made, list(reversed(points)))
    )


def test_of_a_run_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("""
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: two-}
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: one, template: t}], [{name: two, template: t}]]
  - name: t
    container: {image: "python:3.12", command: ["true"]}
""")
    options = RunOptions(store=tmp_path / "store", images={"python*": "host"})
    made = tiphys.run(tmp_path / "a.yaml", options=options).workflow
    page = Page(report(made, fold(made)))
    assert {"[0].one", "[1].two"} <= {word.strip() for word in page.words}
    assert page.tags.count("path") == 2  # one edge: the line and its tip
