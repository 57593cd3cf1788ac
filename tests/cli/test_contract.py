"""The command line is a contract: exit codes, what goes to stdout, and one clear error without a traceback."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tiphys.cli import main

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
HELLO = str(ROOT / "pipelines" / "hello.py")
MISSION = str(ROOT / "pipelines" / "fashion_mnist.py")

FAILS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: fails}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: "alpine:3", command: [sh, -c], args: ["echo on its way out >&2; exit 3"]}
"""


def tiphys(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "tiphys", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_compile_writes_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert tiphys("compile", MISSION, "-o", str(first), cwd=tmp_path).returncode == 0
    assert tiphys("compile", MISSION, "-o", str(second), cwd=tmp_path, PYTHONHASHSEED="1").returncode == 0
    assert first.read_bytes() == second.read_bytes()
    assert tiphys("compile", MISSION, "-o", str(first), "--check", cwd=tmp_path).returncode == 0
    first.write_text(first.read_text().replace("fingerprint", "thumbprint"))
    assert tiphys("compile", MISSION, "-o", str(first), "--check", cwd=tmp_path).returncode == 1


def test_compiling_needs_neither_tensorflow_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from tiphys.cli import main; main(['compile', sys.argv[1], '-o', 'x.yaml']);"
        "print([m for m in ('tensorflow', 'numpy', 'tf_keras') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, MISSION],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_run_json_prints_the_workflow_and_nothing_else(tmp_path: Path) -> None:
    done = tiphys("run", HELLO, "-p", "name=Argo", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    workflow = json.loads(done.stdout)
    assert set(workflow) >= {"metadata", "spec", "status"}
    assert workflow["status"]["phase"] == "Succeeded"
    outputs = [
        item["value"]
        for node in workflow["status"]["nodes"].values()
        for item in (node.get("outputs") or {}).get("parameters") or []
    ]
    assert "hello, hello Argo" in outputs
    assert "HELLO, HELLO ARGO" in outputs


def test_a_failed_run_exits_with_1_and_shows_the_end_of_the_log(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS)
    done = tiphys("run", str(file), "--image", "alpine*=host", cwd=tmp_path)
    assert done.returncode == 1
    assert "exit code 3" in done.stderr
    assert "on its way out" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_argo_cannot_decode_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS.replace("  - name: main\n", "    name: main\n"))
    done = tiphys("run", str(file), "--image", "alpine*=host", cwd=tmp_path)
    assert done.returncode == 2
    assert "TIP298" in done.stderr and "must be a list" in done.stderr and "fails.yaml:8:" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("command:", "comand: ['true'], command:"), "did you mean 'command'"),
        # of Argo 3: it would run without the lock
        (("- name: main", "- name: main\n    synchronization: {mutex: {name: m}}"), "synchronization.mutex"),
    ],
)
def test_what_would_have_no_effect_is_refused_unless_kubectl_is_meant(
    tmp_path: Path, wrong: tuple[str, str], says: str
) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS.replace("exit 3", "exit 0").replace(*wrong))
    done = tiphys("run", str(file), "--image", "alpine*=host", cwd=tmp_path)
    assert done.returncode == 2
    assert "TIP288" in done.stderr and says in done.stderr and "fails.yaml:" in done.stderr
    assert not (tmp_path / ".tiphys").exists()
    done = tiphys("run", str(file), "--image", "alpine*=host", "--lenient", cwd=tmp_path)
    assert done.returncode == 0
    assert says in done.stderr


def test_what_argo_overlooks_and_changes_nothing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(
        FAILS.replace("{name: fails}", "{name: fails, label: {a: b}}").replace("exit 3", "exit 0")
    )
    done = tiphys("run", str(file), "--image", "alpine*=host", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "L110" in done.stderr and "metadata.label" in done.stderr


def test_a_step_that_was_tried_again_shows_its_last_attempt(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS.replace("  - name: main\n", '  - name: main\n    retryStrategy: {limit: "1"}\n'))
    done = tiphys("run", str(file), "--image", "alpine*=host", cwd=tmp_path)
    assert "No more retries left; attempt 2: main: Error (exit code 3)" in done.stderr, done.stderr
    assert "on its way out" in done.stderr


CRON = """
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["30 2 29 2 *"]
  timezone: Europe/Berlin
  workflowSpec:
    entrypoint: main
    templates:
    - name: main
      container: {image: "alpine:3", command: [echo, hi]}
"""

TEMPLATE = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: hi}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: you}]}
  templates:
  - name: main
    container: {image: "alpine:3", command: [echo, "{{workflow.parameters.who}}"]}
"""


def test_a_cron_workflow_tells_its_next_times_and_runs_once_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "cron.yaml"
    file.write_text(CRON)
    done = tiphys("run", str(file), "--json", cwd=tmp_path)
    times = json.loads(done.stdout)
    assert len(times) == 5
    assert all(time[4:] == "-02-29T01:30:00Z" for time in times)  # 02:30 in Berlin, in winter
    done = tiphys("run", str(file), "--now", "--json", "--image", "alpine*=host", cwd=tmp_path)
    workflow = json.loads(done.stdout)
    assert workflow["metadata"]["name"].startswith("nightly-")
    assert workflow["metadata"]["labels"]["workflows.argoproj.io/cron-workflow"] == "nightly"
    assert workflow["status"]["phase"] == "Succeeded"


def test_a_cron_workflow_whose_runs_would_fail_has_no_next_times(tmp_path: Path) -> None:
    file = tmp_path / "cron.yaml"
    file.write_text(CRON.replace("entrypoint: main", "entrypoint: mian"))
    done = tiphys("run", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "TIP299" in done.stderr and "mian" in done.stderr
    assert not done.stdout


def test_a_workflow_template_runs_as_argo_submit_from_it(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    done = tiphys("run", str(file), "--image", "alpine*=host", "-p", "who=me", "--logs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| me" in done.stderr


def test_an_image_that_is_not_mapped_is_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "fails.yaml"
    file.write_text(FAILS)
    done = tiphys("run", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "--image" in done.stderr
    assert "alpine:3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", MISSION, "-p", "epoch=3"), "Did you mean 'epochs'"),
        (("run", MISSION, "-p", "epochs=two"), "whole number"),
        (("run", MISSION, "-p", "min-accuracy=1.2"), "at most 1"),
        (("run", MISSION, "-p", "workers=0"), "workers=0"),
        (("run",), "--resume NAME"),
        (("run", MISSION, "-p", "models=resnet"), "cnn, dropout, batch-norm"),
        (("run", MISSION, "-p", "epochs"), "NAME=VALUE"),
        (("run", MISSION, "-p", "epochs=1", "-p", "epochs=2"), "given twice"),
        (("run", "missing.py"), "missing.py"),
        (("run", "missing.yaml"), "missing.yaml"),
        (("compile", "missing:thing"), "missing"),
        (("run", HELLO, "--image", "x"), "GLOB=host"),
        (("cache", "explain", "zz"), "cache ls"),
    ],
)
def test_bad_input_is_refused_with_cause_and_fix(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = tiphys(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "fix:" in done.stderr
    assert done.stderr.startswith("tiphys: TIP")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_traceback_is_there_when_asked_for(tmp_path: Path) -> None:
    assert "Traceback" in tiphys("--traceback", "run", "missing.yaml", cwd=tmp_path).stderr
    assert "Traceback" in tiphys("run", "missing.yaml", cwd=tmp_path, TIPHYS_TRACEBACK="1").stderr


def test_lint_exit_codes_and_json(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    assert tiphys("compile", MISSION, "-o", str(good), cwd=tmp_path).returncode == 0
    assert tiphys("lint", str(good), cwd=tmp_path).returncode == 0
    bad.write_text(good.read_text().replace("template: select", "template: selekt"))
    done = tiphys("lint", str(bad), "--json", cwd=tmp_path)
    assert done.returncode == 1
    findings = json.loads(done.stdout)
    fields = {"file", "code", "severity", "message", "fix", "path", "line", "column"}
    assert all(fields <= set(finding) for finding in findings)
    line = 1 + bad.read_text().splitlines().index("        template: selekt")
    assert any(finding["line"] == line and "selekt" in finding["message"] for finding in findings)
    assert tiphys("lint", str(tmp_path / "none.yaml"), cwd=tmp_path).returncode == 2


def commands() -> list[list[str]]:
    from tiphys.cli import parser

    found: list[list[str]] = []

    def walk(node: object, path: list[str]) -> None:
        for action in getattr(node, "_actions", []):
            for name, child in (
                (action.choices or {}).items() if type(action).__name__ == "_SubParsersAction" else ()
            ):
                found.append([*path, name])
                walk(child, [*path, name])

    walk(parser(), [])
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert f"example: tiphys {command[0]}" in capsys.readouterr().out


def test_the_parser_of_one_command_is_that_of_all_of_them() -> None:
    """It is made alone, since the others take their time."""
    from tiphys.cli import parser

    def helps(made: argparse.ArgumentParser) -> dict[str, str]:
        choices = next(action.choices for action in made._actions if action.dest == "command")
        return {name: command.format_help() for name, command in dict(choices or {}).items()}

    every = helps(parser())
    for name in every:
        assert helps(parser(name))[name] == every[name]
    assert len(helps(parser("lint"))) == 1
    for other in ("runs", "--traceback", "none", ""):  # a module, an option, nothing at all
        assert helps(parser(other)) == every


def test_linting_a_file_imports_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: x-}\n"
        "spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}\n"
    )
    code = "import sys; from tiphys.cli import main; main(['lint', 'x.yaml']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    slow = (
        *("difflib", "hashlib", "html", "random", "tomllib", "traceback", "zoneinfo", "asyncio"),
        *("calendar", "copy", "dataclasses", "decimal", "inspect", "multiprocessing", "pathlib", "shutil"),
    )
    others = (
        "compiler",
        "dsl",
        "engine",
        "runs",
        "store",
        "cli.run",
        "expr.semver",
        "lint.fixing",
        "lint.verdict",
    )
    assert {*slow, *(f"tiphys.{name}" for name in others)} & set(done.stdout.split()) == set()


def test_no_colours_when_it_is_not_a_terminal_or_not_wanted(tmp_path: Path) -> None:
    done = tiphys("run", HELLO, cwd=tmp_path)
    assert "\x1b[" not in done.stdout + done.stderr


VERSIONED = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: versioned}
spec:
  entrypoint: main
  podMetadata: {labels: {both: workflow}}
  templates:
  - name: main
    metadata: {labels: {both: template}}
    MORE
    container:
      image: "alpine:3"
      command: [sh, -c, "echo $LABEL"]
      env: [{name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['both']"}}}]
"""


def test_run_speaks_and_behaves_as_the_version_that_is_asked_for(tmp_path: Path) -> None:
    """docs/conformance.md, Argo 4.0 and 4.1: a newer field, and whose label a pod has."""
    file = tmp_path / "versioned.yaml"
    words = ("run", str(file), "--image", "alpine*=host", "--logs")
    file.write_text(VERSIONED.replace("    MORE\n", ""))
    for argo, label in (((), "template"), (("--argo", "4.1"), "template"), (("--argo", "4.0"), "workflow")):
        done = tiphys(*words, *argo, cwd=tmp_path)
        assert (done.returncode, f"{label}\n" in done.stdout + done.stderr) == (0, True), done.stderr

    file.write_text(VERSIONED.replace("MORE", "pendingTimeout: 5m"))
    assert tiphys(*words, cwd=tmp_path).returncode == 0
    done = tiphys(*words, "--argo", "4.0", cwd=tmp_path)
    assert done.returncode == 2
    assert "TIP288" in done.stderr and "pendingTimeout" in done.stderr and "since 4.1" in done.stderr
    done = tiphys(*words, "--argo", "4.0", "--lenient", cwd=tmp_path)
    assert done.returncode == 0
    assert "pendingTimeout" in done.stderr
    kept = json.loads((tmp_path / ".tiphys/runs/versioned/workflow.json").read_text())
    assert "pendingTimeout" not in json.dumps(kept["spec"])


def test_a_run_that_goes_on_keeps_its_version_of_argo(tmp_path: Path) -> None:
    file = tmp_path / "versioned.yaml"
    file.write_text(
        VERSIONED.replace("    MORE\n", "").replace('"echo $LABEL"', '"echo $LABEL; ls again || exit 1"')
    )
    words = ("run", str(file), "--image", "alpine*=host", "--argo", "4.0")
    assert tiphys(*words, "--detach", "--name", "d", cwd=tmp_path).returncode == 0
    tiphys("wait", "d", "--local", cwd=tmp_path)
    assert "workflow\n" in tiphys("logs", "d", "--local", cwd=tmp_path).stdout
    assert tiphys("retry", "d", "--local", cwd=tmp_path).returncode == 1
    assert tiphys("logs", "d", "--local", cwd=tmp_path).stdout.count("workflow\n") >= 1
    assert "template\n" not in tiphys("logs", "d", "--local", cwd=tmp_path).stdout
    done = tiphys("run", "--resume", "d", "--argo", "4.0", cwd=tmp_path)
    assert (done.returncode, "TIP297" in done.stderr) == (2, True)


@pytest.mark.parametrize("error", [ValueError("odd"), RecursionError("deep"), MemoryError(), KeyError("x")])
def test_what_nobody_foresaw_has_a_code_and_a_report_and_no_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tiphys.runs.Client", broken)
    assert main(["get", "my-secret-name", "--store", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("tiphys: TIP303: ") and "Traceback" not in said.err
    [report] = tmp_path.glob("tiphys-report-*.txt")
    assert str(report) in said.err
    text = report.read_text()
    assert "in broken" in text and type(error).__name__ in text and "my-secret-name" not in text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_program_is_no_error(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tiphys.runs.Client", ended)
    if error is SystemExit:
        with pytest.raises(SystemExit):
            main(["list", "--store", "x"])
    else:
        assert main(["list", "--store", "x"]) == 130


ASKS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: asks}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: "tiphys/step:1", command: ["true"], resources: {limits: {nvidia.com/gpu: 1}}}
"""


def test_gpus_are_chosen_and_their_want_is_told(tmp_path: Path) -> None:
    none = {"CUDA_VISIBLE_DEVICES": ""}  # whatever this machine has
    for wrong in ("two", "1,1", "-1"):
        done = tiphys("run", HELLO, f"--gpus={wrong}", cwd=tmp_path, **none)
        assert done.returncode == 2 and "TIP234" in done.stderr and "--gpus 2" in done.stderr
    assert tiphys("run", HELLO, "--gpus", "1", cwd=tmp_path, **none).returncode == 2
    assert not (tmp_path / ".tiphys" / "runs").exists()
    assert tiphys("run", HELLO, "--gpus", "0", cwd=tmp_path, **none).returncode == 0
    (tmp_path / "asks.yaml").write_text(ASKS)
    done = tiphys("run", "asks.yaml", cwd=tmp_path, **none)
    assert done.returncode == 1
    assert "TIP235: it asks for 1 of nvidia.com/gpu, and the run has none" in done.stderr
    assert "fix:" in done.stderr and "CUDA_VISIBLE_DEVICES" in done.stderr
