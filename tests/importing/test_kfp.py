"""KFP pipelines that the official compiler wrote, imported and run: what comes out is what their functions give."""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiphys
from tiphys.engine import RunOptions, RunResult
from tiphys.errors import RefusedError
from tiphys.importing import import_kfp
from tiphys.importing.check import made_by
from tiphys.reference import content_digest

SAMPLES = Path(__file__).with_name("kfp")


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of the samples' own source, as plain Python: kfp's decorators are left out."""
    text = (SAMPLES / "pipelines.txt").read_text(encoding="utf-8").partition("\n# nested.yaml")[0]
    found: dict[str, Any] = {}
    for each in ast.parse(text).body:
        if isinstance(each, ast.FunctionDef) and "dsl.component" in map(_called, each.decorator_list):
            each.decorator_list, each.returns = [], None
            for argument in each.args.args:
                argument.annotation = None
            exec(compile(ast.Module([each], []), "<sample>", "exec"), found)
    return found


def _called(decorator: ast.expr) -> str:
    return ast.unparse(decorator).partition("(")[0]


PLAIN = functions()


def ran(name: str, folder: Path, /, **parameters: object) -> RunResult:
    made = import_kfp(SAMPLES / f"{name}.yaml")
    file = folder / f"{name}_flow.py"
    file.write_text(made.source, encoding="utf-8")
    options = RunOptions(store=folder / "store", handle_signals=False, images={"*": "host"})
    return tiphys.run(str(file), options=options, **parameters)


def outputs(result: RunResult, template: str) -> list[dict[str, str]]:
    nodes = result.workflow["status"]["nodes"].values()
    mine = [each for each in nodes if each.get("templateName") == template and each["phase"] == "Succeeded"]
    rows = [each.get("outputs", {}).get("parameters", []) for each in mine if each["type"] == "Pod"]
    return [{each["name"]: each["value"] for each in row} for row in rows]


def test_loops_constants_and_lists_give_what_the_functions_give(tmp_path: Path) -> None:
    result = ran("words", tmp_path, text="a helmsman here")
    assert result.succeeded
    words = PLAIN["split"]("a helmsman here", True)
    sizes = [PLAIN["measure"](word, 2.0) for word in words]
    (total,) = outputs(result, "add")
    assert float(total["result"]) == PLAIN["add"](sizes)
    assert sorted(float(each["result"]) for each in outputs(result, "measure")) == sorted(sizes)


@pytest.mark.parametrize("total", [12.5, 3.0])
def test_conditions_and_several_outputs(tmp_path: Path, total: float) -> None:
    result = ran("conditional", tmp_path, total=total)
    text, big = PLAIN["describe"](total, {"limit": 10})
    (described,) = outputs(result, "describe")
    assert described["text"] == text and described["big"] == ("true" if big else "false")
    said = {PLAIN["say"]("first")}
    said |= {PLAIN["say"](text)} if big else set()
    said |= {PLAIN["say"]("ann")} if total < 5 else set()
    assert {each["result"] for each in outputs(result, "say")} == said


def test_an_exit_handler_and_tasks_of_one_function(tmp_path: Path) -> None:
    result = ran("handled", tmp_path, name="eve")
    assert result.succeeded
    once = PLAIN["say"]("eve")
    assert {each["result"] for each in outputs(result, "say")} == {once, PLAIN["say"](once)}
    nodes = result.workflow["status"]["nodes"].values()
    assert [each["phase"] for each in nodes if each.get("templateName") == "notify"] == ["Succeeded"]
    assert result.workflow["spec"]["onExit"] == "at-end"


def test_a_condition_inside_of_a_loop(tmp_path: Path) -> None:
    result = ran("sequence", tmp_path)
    more = [scale for scale in (1.0, 2.0, 3.0) if math.floor(3 * scale) > 4.0]
    nodes = result.workflow["status"]["nodes"].values()
    skipped = [each for each in nodes if each["phase"] == "Skipped" and each["displayName"] == "condition-3"]
    assert len(skipped) == 3 - len(more)


def test_pipelines_in_pipelines_texts_and_fields_of_items(tmp_path: Path) -> None:
    """``nested`` doubles texts: in a pipeline inside, in two loops inside each other, of a field of each item."""
    result = ran("nested", tmp_path, msg="q")
    assert result.succeeded

    def pr(msg: str) -> str:
        return msg * 2

    said = [pr("q"), pr(f"got {pr('q')} and q"), pr("x"), pr("y")]
    said += [pr(each) for outer in "12" for inner in "34" for each in (outer, inner)]
    assert sorted(each["result"] for each in outputs(result, "pr")) == sorted(said)


def test_files_go_from_step_to_step(tmp_path: Path) -> None:
    """``train`` reads what ``ingest`` wrote; what both write is what the functions write."""
    result = ran("artifacts", tmp_path, rate=0.5)
    assert result.succeeded, result.message
    rows, model = SimpleNamespace(path=str(tmp_path / "rows")), SimpleNamespace(path=str(tmp_path / "model"))
    PLAIN["ingest"](rows)
    PLAIN["train"](rows, 0.5, model)
    for step, file in (("ingest", rows), ("train", model)):
        assert result.outputs_of(step)["result_sha256"] == content_digest(file.path)


@pytest.mark.parametrize("much", [True, False])
def test_files_go_into_loops_and_conditions(tmp_path: Path, much: bool) -> None:
    """``repeat`` takes the file of ``write`` in a loop of two at a time, and in a condition."""
    result = ran("deep", tmp_path, text="ab", much=much)
    assert result.succeeded, result.message
    said = [each["result"] for each in outputs(result, "repeat")]
    assert sorted(said) == sorted("ab" * times for times in (1, 2, 3, *([5] if much else [])))


def test_files_that_code_looks_into_are_told(tmp_path: Path) -> None:
    text = (SAMPLES / "artifacts.yaml").read_text(encoding="utf-8")
    file = tmp_path / "metadata.yaml"
    file.write_text(text.replace("str(rate))", "str(rate) + str(rows.metadata))"))
    made = import_kfp(file)
    told = {each.what: each for each in made.told if each.kind == "dropped"}
    assert "more of 'rows' than its path" in told["the component 'train'"].why
    assert "raise NotImplementedError(" in made.source and "# def train(rows" in made.source
    assert made_by(made.source, "pipeline")["kind"] == "Workflow" and not made.whole


def test_images_and_packages_are_told() -> None:
    words = import_kfp(SAMPLES / "words.yaml")
    assert any("pandas==2.2.0" in each.why for each in words.told)
    assert "parallel=2" in words.source
    assert any("python:3.11" in each.why for each in words.told)


def test_what_is_no_pipeline_of_kfp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "flow.yaml"
    other.write_text("kind: Workflow\nspec: {}\n")
    with pytest.raises(RefusedError) as caught:
        import_kfp(other)
    assert caught.value.code == "TIP247"
    monkeypatch.setitem(sys.modules, "kfp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RefusedError) as caught:
        import_kfp("flow.py")
    assert caught.value.code == "TIP249" and "kfp dsl compile" in caught.value.fix


def test_python_is_compiled_by_the_kfp_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for ``python -m kfp`` hands out what the official compiler has written."""
    (tmp_path / "kfp").mkdir()
    (tmp_path / "kfp" / "__init__.py").write_text("")
    ours = str(SAMPLES / "handled.yaml")
    (tmp_path / "kfp" / "__main__.py").write_text(
        f"import shutil, sys\nshutil.copy({ours!r}, sys.argv[-1])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    flow = tmp_path / "flow.py"
    flow.write_text("")
    assert import_kfp(flow).source.partition("\n")[2] == import_kfp(ours).source.partition("\n")[2]
    (tmp_path / "kfp" / "__main__.py").write_text("raise SystemExit('a type is missing')\n")
    with pytest.raises(RefusedError, match="does not compile") as caught:
        import_kfp(flow)
    assert caught.value.code == "TIP249" and caught.value.cause == "a type is missing"
