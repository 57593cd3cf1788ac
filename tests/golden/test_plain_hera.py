"""The pipelines of pipelines/plain_hera do what those of pipelines/ do, in more lines."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.golden.regenerate import ROOT, compiled
from tests.tools import argo_lint
from tiphys.compiler.compile import to_yaml
from tiphys.compiler.load import load
from tiphys.engine import RunOptions
from tiphys.store.layout import Store

FOLDER = ROOT / "pipelines"
PLAIN = sorted(path.stem for path in (FOLDER / "plain_hera").glob("*.py"))
SPACE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)
NIGHT = "2026-05-04T03:00:00Z"
LOCKS = yaml.safe_load((ROOT / "manifests" / "base" / "locks.yaml").read_text())


def code_lines(path: Path) -> int:
    """Lines that hold code: no comments, no docstrings, no blank ones."""
    text = path.read_text(encoding="utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            first = node.body[0]
            told |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(text).readline) if each.type not in SPACE]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - told)


def run(name: str, store: Path, /, **parameters: Any) -> tuple[str, dict[str, dict[str, str]]]:
    """How the run ended, and what each step has put out, but for notes of Tiphys."""
    workflow = yaml.safe_load_all(to_yaml(load(str(FOLDER / f"{name}.py"), {})))
    objects = [*workflow, *([LOCKS] if name.startswith("plain_hera") else [])]
    for each in objects:
        if each["kind"] == "CronWorkflow":  # as its controller makes one
            each["kind"], each["spec"] = "Workflow", each["spec"]["workflowSpec"]
        if each["kind"] == "Workflow":
            each["metadata"].setdefault("annotations", {})["workflows.argoproj.io/scheduled-time"] = NIGHT
    result = tiphys.run(objects, options=RunOptions(store=store), **parameters)
    nodes = (result.workflow["status"].get("nodes") or {}).values()
    put = {
        str(node["templateName"]): {
            each["name"]: each["value"]
            for each in node.get("outputs", {}).get("parameters", [])
            if not each["name"].startswith("tiphys")
        }
        for node in nodes
        if node["type"] == "Pod" and node["phase"] == "Succeeded"
    }
    return result.phase, put


def test_the_lines_of_code_are_counted_without_what_is_said_about_them(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        '"""Of\n\ntwo."""\n\n# a comment\nx = """\n\na"""\n\n\ndef f():\n    """Says."""\n    return 1  # so\n'
    )
    assert code_lines(path) == 5


@pytest.mark.parametrize("name", PLAIN)
def test_each_is_shorter_than_in_hera_alone(name: str) -> None:
    assert code_lines(FOLDER / f"{name}.py") < code_lines(FOLDER / "plain_hera" / f"{name}.py")


def test_the_lines_that_the_docs_name_are_counted() -> None:
    docs = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    told = {
        name: (int(own), int(plain))
        for name, own, plain in re.findall(
            r"^\| `pipelines/(\w+)\.py` \| .* \| (\d+) \| (\d+) \|$", docs, re.M
        )
    }
    places = (FOLDER, FOLDER / "plain_hera")
    assert told == {name: tuple(code_lines(place / f"{name}.py") for place in places) for name in PLAIN}


@pytest.mark.parametrize("name", PLAIN)
def test_argo_accepts_both(name: str, tmp_path: Path) -> None:
    for each in (name, f"plain_hera/{name}"):
        assert argo_lint(compiled(f"{each}.py"), tmp_path) == ""


@pytest.mark.parametrize("name", PLAIN)
def test_tiphys_has_nothing_against_its_own_and_no_error_in_the_other(name: str) -> None:
    assert [
        each.code for each in tiphys.lint(load(str(FOLDER / f"{name}.py"), {})) if each.severity != "info"
    ] == []
    plain = tiphys.lint(load(str(FOLDER / "plain_hera" / f"{name}.py"), {}))
    assert [str(each) for each in plain if each.severity == "error"] == []


def test_the_schedules_are_one(tmp_path: Path) -> None:
    own = load(f"{FOLDER / 'nightly.py'}:cron", {})
    assert argo_lint(to_yaml(own), tmp_path) == ""
    plain = yaml.safe_load(compiled("plain_hera/nightly.py"))
    own["spec"].pop("workflowMetadata")  # the title, and the limits of the parameters
    for spec in (own["spec"], plain["spec"]):
        spec["workflowSpec"] = {name: spec["workflowSpec"][name] for name in ("synchronization",)}
    assert own["spec"] == plain["spec"]


def test_both_sweeps_choose_the_same_and_report_the_same(tmp_path: Path) -> None:
    (phase, own), (plain_phase, plain) = (run(each, tmp_path) for each in ("sweep", "plain_hera/sweep"))
    assert phase == plain_phase == "Succeeded"
    assert own["make"] == {name: json.dumps(json.loads(text)) for name, text in plain["make"].items()}
    assert own["report"]["result"] == plain["report"]["text"] != ""
    assert len(json.loads(own["refit"]["result"])) == int(own["best-of"]["degree"]) + 1


def test_the_night_in_which_the_new_one_is_better(tmp_path: Path) -> None:
    (phase, own), (plain_phase, plain) = (run(each, tmp_path) for each in ("nightly", "plain_hera/nightly"))
    assert phase == plain_phase == "Succeeded"
    assert own["judge"] == plain["judge"]
    assert own["release"]["result"] == plain["release"]["text"]
    assert own["release"]["result"].startswith("released: 3.0")  # the slope that the rows were made with
    assert "notify" not in own and "notify" not in plain


def test_the_night_in_which_the_gate_refuses(tmp_path: Path) -> None:
    nights = (run(each, tmp_path, margin=0.5) for each in ("nightly", "plain_hera/nightly"))
    (phase, own), (plain_phase, plain) = nights
    assert phase == plain_phase == "Failed"
    assert own["notify"]["result"] == plain["notify"]["text"] == "the night failed: gate, main"
    assert "release" not in own and "release" not in plain


def scores(store: Path) -> dict[str, str]:
    """What lies in the bucket, by its key without the name of the run."""
    here = Store(store)
    keys = [each for each in here.bucket.keys("") if "scores/" in each]
    return {key.rpartition("/")[2]: here.artifacts.path(here.bucket.digest(key)).read_text() for key in keys}


def test_both_score_the_shards_of_a_bucket(tmp_path: Path) -> None:
    names = ("batch_inference", "plain_hera/batch_inference")
    (phase, own), (plain_phase, plain) = (run(each, tmp_path / each) for each in names)
    assert phase == plain_phase == "Succeeded"
    assert own["report"]["result"] == plain["report"]["text"]
    assert own["report"]["result"].endswith(" rows of 3 shards are above 0.5")
    first, second = (scores(tmp_path / each) for each in names)
    assert sorted(first) == ["north.csv", "south.csv", "west.csv"]
    assert first == second
    above = sum(float(line) > 0.5 for text in first.values() for line in text.split())
    assert own["report"]["result"].startswith(f"{above} rows")
    # the next run finds rows and model where the first has put them, and makes neither
    for name in names:
        phase, put = run(name, tmp_path / name, source="bucket")
        assert phase == "Succeeded" and set(put) == {"score", "report"}


def test_a_gpu_for_each_shard_where_there_are_some(tmp_path: Path) -> None:
    for name in ("batch_inference", "plain_hera/batch_inference"):
        text = to_yaml(load(str(FOLDER / f"{name}.py"), {"gpus": "1"}))
        assert argo_lint(text, tmp_path) == ""
        templates = yaml.safe_load(text)["spec"]["templates"]
        boxes = {each["name"]: each.get("script", {}) for each in templates}
        asked = {
            name.partition("-")[0]
            for name, box in boxes.items()
            if "nvidia.com/gpu" in str(box.get("resources"))
        }
        assert asked == {"score"}


def job_of(name: str) -> dict[str, Any]:
    """The training job of a compiled pipeline."""
    documents = yaml.safe_load_all(compiled(f"{name}.py"))
    (workflow,) = (each for each in documents if each["kind"] == "Workflow")
    (manifest,) = (
        each["resource"]["manifest"] for each in workflow["spec"]["templates"] if "resource" in each
    )
    job: dict[str, Any] = json.loads(manifest)
    return job


def test_both_train_with_the_same_gang() -> None:
    own, plain = job_of("pytorch_ddp")["spec"], job_of("plain_hera/pytorch_ddp")["spec"]
    assert own["runPolicy"] == plain["runPolicy"]
    for replica in ("Master", "Worker"):
        pods = [each["pytorchReplicaSpecs"][replica] for each in (own, plain)]
        assert pods[0]["replicas"] == pods[1]["replicas"] == 1
        first, second = (each["template"]["spec"]["containers"][0] for each in pods)
        for field in ("name", "image", "command", "ports", "resources", "securityContext"):
            assert first[field] == second[field], field


@pytest.mark.parametrize("name", ["pytorch_ddp", "plain_hera/pytorch_ddp"])
def test_ddp_trains(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not here")
    sizes = {"source": "synthetic", "limit": 200, "validation_size": 50, "min_accuracy": 0.0, "epochs": 1}
    phase, put = run(name, tmp_path, **sizes)
    assert phase == "Succeeded"
    assert put["accept"]["result"].startswith("accuracy ")
