"""The front of the linter: sources, places, near misses, ignore comments, formats, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lint.examples import HEAD
from tests.lint.places import ROOT
from tiphys.errors import RefusedError
from tiphys.lint import cli_main, lint

CLEAN = HEAD + "spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}\n"
TYPO = HEAD + (
    "spec:\n"
    "  entrypoint: main\n"
    "  templates:\n"
    "  - name: main\n"
    "    container:\n"
    "      image: alpine\n"
    "      comand: [date]\n"
)


def run(*sources: Any, **settings: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = cli_main(sources, out=out, err=err, **settings)
    return code, out.getvalue(), err.getvalue()


def test_all_findings_at_once_with_place_object_and_near_miss() -> None:
    found = {item.code: item for item in lint(TYPO, file="wf.yaml")}
    typo = found["L110"]
    assert (typo.file, typo.line, typo.column) == ("wf.yaml", 10, 7)
    assert typo.path == "spec.templates[0].container.comand"
    assert typo.object == "Workflow/demo-"
    assert typo.near == ("command",)
    assert typo.fix == "did you mean 'command'?"
    assert typo.argo
    assert (found["L352"].line, found["L352"].severity, found["L352"].argo) == (9, "warning", False)


def test_a_place_inside_a_manifest_is_the_line_of_the_file() -> None:
    text = HEAD + (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    resource:\n      action: apply\n"
        "      manifest: |\n        apiVersion: v1\n        kind: ConfigMap\n        metadata: {name: demo}\n"
        "        data:\n          workers: 2\n"
    )
    (finding,) = lint(text)
    assert (finding.code, finding.line, finding.column) == ("L335", 15, 20)


@pytest.mark.parametrize(
    ("spec", "found"),
    [("{predictor: {minReplicas: 2}}", []), ("{predictor: {minReplicas: 1}}", ["L406"])]
    + [(spec, ["L406"]) for spec in ("{predictor: {}}", "{predictor: }", "{}", "")],
)
def test_kserve_keeps_one_replica_unless_it_is_told_otherwise(spec: str, found: list[str]) -> None:
    text = HEAD + (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    resource:\n      action: apply\n"
        "      successCondition: status.modelStatus.transitionStatus == UpToDate\n      manifest: |\n"
        "        apiVersion: serving.kserve.io/v1beta1\n        kind: InferenceService\n"
        f"        metadata: {{name: demo}}\n        spec: {spec}\n"
    )
    assert [item.code for item in lint(text)] == found


def test_templates_in_one_file_resolve_references_in_another(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        HEAD + "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    steps:\n"
        "    - - {name: say, templateRef: {name: shared, template: say}}\n"
    )
    (tmp_path / "b.yaml").write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: shared}\n"
        "spec: {templates: [{name: say, suspend: {}}]}\n"
    )
    assert [item.code for item in lint(tmp_path / "a.yaml")] == ["L212"]
    assert lint(tmp_path) == []
    assert lint([tmp_path / "a.yaml", tmp_path / "b.yaml"]) == []


def test_a_mapping_and_a_hera_workflow_are_linted() -> None:
    data = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "demo-"},
        "spec": {"entrypoint": "mian", "templates": [{"name": "main", "suspend": {}}]},
    }
    assert [(item.code, item.path) for item in lint(data)] == [("L211", "spec.entrypoint")]
    workflows = pytest.importorskip("hera.workflows")
    with workflows.Workflow(generate_name="demo-", entrypoint="mian") as workflow:
        workflows.Container(name="main", image="alpine:3.23", command=["date"])
    assert [item.code for item in lint(workflow) if item.severity == "error"] == ["L211"]


def test_a_pipeline_tells_the_python_line_that_made_it() -> None:
    from tiphys.compiler.load import load

    pipeline = load(str(ROOT / "pipelines" / "fashion_mnist.py"), {})
    found = [item for item in lint(pipeline, file="fashion_mnist.py") if item.code == "L329"]
    lines = (ROOT / "pipelines" / "fashion_mnist.py").read_text().splitlines()
    assert found
    for item in found:
        task = item.message.split()[0].rpartition(".")[2]
        assert item.python_file.endswith("fashion_mnist.py")
        assert task in "".join(lines[item.python_line - 1 : item.python_line + 8])
        assert item.to_json()["python"] == {"file": item.python_file, "line": item.python_line}


def test_the_package_is_the_function() -> None:
    import tiphys.lint as package

    assert package(CLEAN) == []  # type: ignore[operator]


def test_other_things_are_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        lint(42)
    assert caught.value.code == "TIP214"


def test_ignore_comments_silence_one_finding() -> None:
    line = "      image: alpine"
    assert "L352" not in {f.code for f in lint(TYPO.replace(line, line + "  # tiphys: ignore[L352] a demo"))}
    above = TYPO.replace(line, "      # tiphys: ignore[L352, L999x] a demo\n" + line)
    assert "L352" not in {f.code for f in lint(above)}
    assert "L106" in {f.code for f in lint(above)}  # no such code
    whole = "# tiphys: ignore-file[L110] read by an older version\n" + TYPO
    assert [f.code for f in lint(whole) if f.severity != "info"] == ["L352"]
    assert "L352" in {f.code for f in lint(TYPO.replace(line, line + "  # tiphys: ignore[L110] other"))}


def test_exit_codes(tmp_path: Path) -> None:
    clean, typo = tmp_path / "clean.yaml", tmp_path / "typo.yaml"
    clean.write_text(CLEAN)
    typo.write_text(TYPO)
    assert run(str(clean))[0] == 0
    assert run(str(clean), str(typo))[0] == 1
    code, out, err = run(str(tmp_path / "none.yaml"), str(typo))
    assert code == 2
    assert "L110" in out
    assert "TIP201" in err


def test_severity_select_and_ignore(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(TYPO)

    def codes(**settings: Any) -> list[str]:
        return [item["code"] for item in json.loads(run(str(path), json=True, **settings)[1])]

    assert codes() == ["L353", "L352", "L110"]
    assert codes(severity="warning") == ["L352", "L110"]
    assert codes(severity="error") == ["L110"]
    assert codes(severity="info") == ["L353", "L352", "L110"]
    assert codes(select=["L3"]) == ["L353", "L352"]
    assert codes(ignore=["L352", "L353"]) == ["L110"]
    assert run(str(path), select=["L353"])[:2] == (0, "")
    assert "L353" in run(str(path), select=["L353"], severity="info")[1]
    assert run(str(path), ignore=["L1", "L3"])[0] == 0


def test_the_json_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(TYPO)
    _, out, _ = run(str(path), json=True)
    for item in json.loads(out):
        assert {"file", "code", "severity", "message", "fix", "path", "line", "column"} <= set(item)
        assert item["file"] == str(path)


def test_sarif_and_github() -> None:
    _, out, _ = run(
        (
            "wf.yaml",
            json.loads(
                json.dumps(
                    {
                        "apiVersion": "argoproj.io/v1alpha1",
                        "kind": "Workflow",
                        "metadata": {"name": "x"},
                        "spec": {},
                    }
                )
            ),
        ),
        format="sarif",
    )
    report = json.loads(out)
    assert report["version"] == "2.1.0"
    (result,) = report["runs"][0]["results"]
    assert result["ruleId"] == "L210"
    assert result["level"] == "error"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "wf.yaml"
    _, out, _ = run(
        (
            "a,b.yaml",
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": {}},
        ),
        format="github",
    )
    assert out.startswith("::error file=a%2Cb.yaml,line=1,col=1,title=L210::")
    assert out.count("\n") == 1


def test_fix_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(TYPO)
    code, _, err = run(str(path), fix=True, ignore=["L352"])
    assert code == 0
    assert "1 repaired" in err
    assert path.read_text() == TYPO.replace("comand", "command")


def test_a_document_that_cannot_be_read_does_not_hide_the_others() -> None:
    found = lint(f"{CLEAN}---\na: b: c\n---\n{TYPO}")
    assert [item.code for item in found if item.severity == "error"] == ["L101", "L110"]


@pytest.mark.parametrize(
    "manifest",
    [  # of kinds, or versions of a kind, of which nothing is known
        "{kind: PyTorchJob, spec: {containers: [{command: [--output, /a/b], volumeMounts: [a]}]}}",
        "{kind: PyTorchJob, spec: {containers: [{command: [--output, /a/b], volumeMounts: [{mountPath: 5}]}]}}",
        "{kind: TFJob, apiVersion: a/v1, spec: {tfReplicaSpecs: {W: {template: {spec: {containers: [a]}}}}}}",
        "{kind: TFJob, apiVersion: a/v1, spec: {tfReplicaSpecs: {W: {template: {metadata: {labels: 5}}}}}}",
        "{kind: TFJob, apiVersion: a/v1, spec: {tfReplicaSpecs: [a]}}",
    ],
)
def test_a_manifest_that_nothing_describes_may_hold_anything(manifest: str) -> None:
    templates = [
        {"name": "main", "dag": {"tasks": [{"name": "x", "template": "a"}, {"name": "y", "template": "a"}]}},
        {"name": "a", "resource": {"action": "create", "manifest": manifest}},
    ]
    found = lint({"kind": "Workflow", "spec": {"entrypoint": "main", "templates": templates}})
    assert "L357" in [item.code for item in found]  # it has no name


@pytest.mark.parametrize("metadata", ["a", "[a]", "5", "{name: [a]}"])
def test_the_metadata_of_an_object_may_be_anything(metadata: str) -> None:
    found = lint(f"kind: ConfigMap\nmetadata: {metadata}\ndata: {{a: 1}}\n")
    assert "L319" in [item.code for item in found]


def test_linting_does_not_import_hera() -> None:
    """Hera takes longer to import than a file to lint."""
    program = "import sys, tiphys.lint; sys.exit('hera' in sys.modules or 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 0


def test_the_page_of_rules_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/lint_docs.py", "--check"], check=False, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, "run: python scripts/lint_docs.py"


def test_the_compiled_example_pipelines_are_clean() -> None:
    for path in sorted((ROOT / "tests" / "golden").glob("*.yaml")):
        found = [str(item) for item in lint(path) if item.severity != "info"]
        assert found == []


def test_two_workflows_that_take_two_locks_in_different_orders() -> None:
    def workflow(name: str, outer: str, inner: str) -> str:
        return (
            f"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: {name}}}\n"
            f"spec:\n  entrypoint: main\n  synchronization: {{mutexes: [{{name: {outer}}}]}}\n  templates:\n"
            f"  - name: main\n    synchronization: {{mutexes: [{{name: {inner}}}]}}\n    suspend: {{}}\n"
        )

    assert lint(workflow("one", "a", "b") + "---\n" + workflow("two", "a", "b")) == []
    (finding,) = lint(workflow("one", "a", "b") + "---\n" + workflow("two", "b", "a"))
    assert (finding.code, finding.line) == ("L315", 20)
    assert "templates.main of one" in finding.message
