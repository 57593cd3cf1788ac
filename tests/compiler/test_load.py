"""Loading a pipeline by path or module, with settings and parameters as text."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tiphys
from tests.engine.harness import sandboxed
from tiphys.compiler.compile import to_yaml
from tiphys.compiler.load import load, load_with
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError, RefusedError

PIPELINE = """
from typing import Literal
from tiphys import Pipeline, component

@component
def step(text: str) -> str:
    return text

def build(workers: int = 2, models: tuple[Literal["cnn", "dropout"], ...] = ("cnn",), rate: float = 0.5,
          fast: bool = False, note: str = "", mode: Literal["a", "b"] = "a", maybe: int | None = None) -> Pipeline:
    with Pipeline("loaded") as pipeline:
        epochs = pipeline.param("epochs", 3, minimum=1)
        step(text=f"{workers} {models} {rate} {fast} {note} {mode} {maybe}")
        step(text=pipeline.param("name", "x"))
    return pipeline
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "loaded_pipeline.py"
    file.write_text(PIPELINE, encoding="utf-8")
    return str(file)


def text_of(pipeline: tiphys.Pipeline) -> str:
    task = pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"][0]
    return str(task["arguments"]["parameters"][0]["value"])


def test_the_parameters_of_a_cron_workflow_are_those_of_its_workflows(tmp_path: Path) -> None:
    file = tmp_path / "nightly.py"
    file.write_text(
        "from hera.workflows import Container, CronWorkflow, Parameter\n"
        "with CronWorkflow(name='c', schedules=['@daily'], entrypoint='a', arguments=[Parameter(name='x-y')]) as w:\n"
        "    Container(name='a', image='busybox')\n",
        encoding="utf-8",
    )
    assert load_with(str(file), {"x-y": "5"})[1] == {"x-y": "5"}
    assert load_with(str(file), {"x_y": "5"}, python_names=True)[1] == {"x-y": "5"}
    with pytest.raises(DefinitionError, match="TIP121"):
        load_with(str(file), {"z": "5"})


def test_settings_are_converted_by_annotation(path: str) -> None:
    assert text_of(load(path)) == "2 ('cnn',) 0.5 False  a None"
    settings = {
        "workers": "3",
        "models": "dropout, cnn",
        "rate": "1e-3",
        "fast": "true",
        "note": "1",
        "mode": "b",
        "maybe": "4",
    }
    assert text_of(load(path, settings)) == "3 ('dropout', 'cnn') 0.001 True 1 b 4"
    assert text_of(load(path, {"maybe": ""})) == text_of(load(path))


def test_parameters_of_the_workflow_replace_their_values(path: str) -> None:
    pipeline = load(path, {"epochs": "5", "workers": "1"})
    assert pipeline.to_dict()["spec"]["arguments"]["parameters"][0] == {"name": "epochs", "value": "5"}
    assert load(path).to_dict()["spec"]["arguments"]["parameters"][0]["value"] == "3"


def test_parameters_are_split_into_two_kinds(path: str) -> None:
    made, runtime = load_with(path, {"workers": "3", "epochs": "9"})
    assert runtime == {"epochs": "9"}
    assert to_yaml(made) == to_yaml(load(path, {"workers": "3"})) != to_yaml(load(path))


@pytest.mark.parametrize("use", [lambda path, given: load(path, given), load_with])
def test_an_unknown_name_lists_both_kinds(path: str, use: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        use(path, {"worker": "3"})  # type: ignore[operator]
    error = caught.value
    assert error.code == "TIP121"
    assert "Did you mean 'workers'?" in error.message
    assert "workers, models" in error.cause and "epochs, name" in error.cause


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("workers", "two", "a whole number"),
        ("workers", "2.5", "a whole number"),
        ("rate", "fast", "a number"),
        ("fast", "yes", "true or false"),
        ("mode", "c", "one of a, b"),
        ("models", "cnn,dropuot", "Did you mean 'dropout'?"),
    ],
)
def test_a_bad_setting_says_what_is_expected(path: str, name: str, text: str, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(path, {name: text})
    assert caught.value.code == "TIP122"
    assert words in caught.value.message
    assert caught.value.fix


def test_a_setting_without_a_default_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "needing.py"
    file.write_text(PIPELINE.replace("workers: int = 2", "workers: int"), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load(str(file))
    assert (caught.value.code, caught.value.fix) == ("TIP122", "give it: -p workers=VALUE")
    assert text_of(load(str(file), {"workers": "1"})).startswith("1 ")


def test_a_bad_parameter_is_refused(path: str) -> None:
    with pytest.raises(RefusedError):
        load(path, {"epochs": "0"})


def test_the_mission_refuses_bad_settings() -> None:
    mission = str(Path(__file__).resolve().parents[2] / "pipelines" / "fashion_mnist.py")
    for settings, code, words in (
        ({"workers": "0"}, "TIP109", "workers=0"),
        ({"replicas": "0"}, "TIP109", "replicas=0"),
        ({"models": "cnn,resnet"}, "TIP122", "resnet"),
        ({"workers": "4", "capacity": "2"}, "TIP109", "never fits"),
        ({"epohcs": "3"}, "TIP121", "Did you mean 'epochs'?"),
    ):
        with pytest.raises(DefinitionError) as caught:
            load(mission, settings)
        assert caught.value.code == code
        assert words in caught.value.message
        assert caught.value.fix
    for settings in ({"min-accuracy": "1.5"}, {"top": "3"}, {"combine": "max"}, {"epochs": "x"}):
        with pytest.raises(RefusedError):
            load(mission, settings)


def test_the_settings_of_the_mission_shape_its_graph() -> None:
    mission = str(Path(__file__).resolve().parents[2] / "pipelines" / "fashion_mnist.py")
    text = to_yaml(
        load(
            mission, {"workers": "3", "capacity": "7", "replicas": "1", "models": "cnn", "image": "me/step:2"}
        )
    )
    assert 'training-3: "2"' in text
    assert '"replicas": 3' in text and "status.readyReplicas == 1" in text
    assert "image: me/step:2" in text and '"image": "me/step:2"' in text
    assert "batch-norm" not in text.split("templates:")[1].split("name: cleanup")[0]


def test_the_defaults_of_the_mission_are_those_of_its_steps() -> None:
    import inspect

    from components import ingest, predict, train

    mission = str(Path(__file__).resolve().parents[2] / "pipelines" / "fashion_mnist.py")
    declared = {d.name: d.default for d in load(mission).declared}
    for function, names in (
        (train.train, ("epochs", "batch_size", "learning_rate", "seed")),
        (ingest.ingest, ("validation_size", "seed", "limit")),
        (predict.predict, ("combine", "count", "seed", "at_least", "deadline")),
    ):
        for name in names:
            assert declared[name.replace("_", "-")] == inspect.signature(function).parameters[name].default, (
                name
            )


@pytest.mark.parametrize(
    "code, words",
    [
        ("x = 1", "no pipeline"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def build(:\n    pass", "SyntaxError"),
        ("def build():\n    raise KeyError('x')", "KeyError"),
        ("def build():\n    return 3", "returned int"),
        ("raise SystemError('boom')", "boom"),
    ],
)
def test_a_file_that_is_no_pipeline_is_refused_with_its_place(code: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad_pipeline.py"
    path.write_text(code, encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load(str(path))
    assert caught.value.code == "TIP120"
    assert words in caught.value.message
    assert "bad_pipeline.py" in caught.value.where
    assert caught.value.fix


def test_a_missing_file_has_a_near_miss(path: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(path.replace("loaded_", "laoded_"))
    assert "Did you mean 'loaded_pipeline.py'?" in caught.value.message


def test_an_object_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    assert load("pipelines.hello:pipeline").pipeline_name == "hello"
    assert load("pipelines.hello").pipeline_name == "hello"
    assert load("pipelines/loop.py:build", {"weight": "2"}).pipeline_name == "loop"
    with pytest.raises(DefinitionError) as caught:
        load("pipelines.hello:pipline")
    assert "Did you mean 'pipeline'" in caught.value.message
    with pytest.raises(DefinitionError) as caught:
        load("pipelines.helo")
    assert caught.value.code == "TIP120"


def test_by_path_and_by_module_the_bytes_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    assert to_yaml(load("pipelines.loop:build")) == to_yaml(load("pipelines/loop.py"))


def test_a_plain_hera_workflow_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "hera_pipeline.py"
    path.write_text(
        textwrap.dedent(
            """
            from hera.workflows import Container, Workflow
            with Workflow(generate_name="h-", entrypoint="c", arguments={"a": "1"}) as w:
                Container(name="c", image="alpine", command=["true"])
            """
        ),
        encoding="utf-8",
    )
    assert "kind: Workflow" in to_yaml(load(str(path)))
    assert load_with(str(path), {"a": "2"})[1] == {"a": "2"}
    with pytest.raises(DefinitionError):
        load_with(str(path), {"b": "2"})


RUNNER = """
from hera.workflows import Steps, Workflow, script

@script(constructor="runner", image="my/image:1")
def check(auc: float):
    raise SystemExit("the gate is closed")

with Workflow(generate_name="gate-", entrypoint="m") as w:
    with Steps(name="m"):
        check(arguments={"auc": 0.1})
"""


@pytest.mark.parametrize(
    ("place", "marks", "name"),
    [
        ("gate.py", [], "gate"),
        ("gate-1.py", [], "gate-1"),
        ("flows/gate.py", ["pyproject.toml"], "flows.gate"),
        (
            "flows/deep/gate.py",
            ["pyproject.toml", "flows/__init__.py", "flows/deep/__init__.py"],
            "flows.deep.gate",
        ),
        ("src/flows/gate.py", ["pyproject.toml", "src/flows/__init__.py"], "flows.gate"),
        ("src/flows/gate.py", ["pyproject.toml"], "flows.gate"),
        ("lib/flows/gate.py", ["pyproject.toml", "lib/flows/__init__.py"], "lib.flows.gate"),
    ],
)
def test_a_file_has_the_name_that_its_project_imports_it_by(
    tmp_path: Path, place: str, marks: list[str], name: str
) -> None:
    """Hera's runner is told MODULE:FUNCTION; the pod imports it from the root of the project."""
    for each in [place, *marks]:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_text(RUNNER if each == place else "", encoding="utf-8")
    for _ in range(2):
        text = to_yaml(load(str(tmp_path / place)))
        assert f"{name}:check" in text


def test_a_hera_runner_script_runs_here(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    file = tmp_path / "flows" / "gate.py"
    file.parent.mkdir()
    file.write_text(RUNNER, encoding="utf-8")
    result = tiphys.run(str(file), options=RunOptions(store=tmp_path / "store", images={"my/*": "host"}))
    assert result.phase == "Failed"
    (log,) = (result.folder / "logs").glob("*.log")
    assert log.read_text().strip() == "the gate is closed"


ARTIFACTS = """
from typing import Annotated
from hera.workflows import Artifact, ArtifactLoader, Steps, Workflow, script

@script(constructor="runner", image="my/image:1")
def write(n: int) -> Annotated[dict, Artifact(name="made")]:
    return {"n": n}

@script(constructor="runner", image="my/image:1")
def read(given: Annotated[dict, Artifact(name="given", loader=ArtifactLoader.json)], more: int):
    print("n is", given["n"] + more)

with Workflow(generate_name="pass-", entrypoint="m") as w:
    with Steps(name="m") as s:
        first = write(arguments={"n": 3})
        read(arguments=[first.get_artifact("made").with_name("given"), {"more": 4}])
"""


@sandboxed
def test_heras_artifacts_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    file = tmp_path / "artifacts_flow.py"
    file.write_text(ARTIFACTS, encoding="utf-8")
    result = tiphys.run(str(file), options=RunOptions(store=tmp_path / "store", images={"my/*": "host"}))
    logs = [log.read_text() for log in (result.folder / "logs").glob("*.log")]
    assert result.succeeded, (result.message, logs)
    assert "n is 7" in "".join(logs)
    assert not Path("/tmp/hera-outputs").exists() and not Path("/tmp/hera-inputs").exists()


def test_what_was_loaded_before_makes_no_difference(tmp_path: Path) -> None:
    """A file that imports another pipeline's file references its functions, whether that was loaded or not."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "first_flow.py").write_text(PIPELINE, encoding="utf-8")
    second = tmp_path / "second_flow.py"
    second.write_text(
        "from tiphys import Pipeline\nfrom first_flow import step\n"
        "with Pipeline('second') as pipeline:\n    step(text='x')\n",
        encoding="utf-8",
    )
    first = to_yaml(load(str(tmp_path / "first_flow.py")))
    text = to_yaml(load(str(second)))
    assert "first_flow:step" in text and "source:" not in text
    assert to_yaml(load(str(tmp_path / "first_flow.py"))) == first
    assert to_yaml(load(str(second))) == text


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "__init__.py").touch()
    (tmp_path / "steps" / "words.py").write_text("WORD = 'hello'\n")
    file = tmp_path / "steps" / "flow.py"
    file.write_text("from .words import WORD\n" + PIPELINE.replace('"loaded"', "WORD"), encoding="utf-8")
    assert "name: hello" in to_yaml(load(str(file))) or "hello-" in to_yaml(load(str(file)))


def test_a_neighbour_may_be_called_as_a_standard_module(tmp_path: Path) -> None:
    (tmp_path / "http.py").write_text("raise RuntimeError('not this one')\n", encoding="utf-8")
    (tmp_path / "near.py").write_text(RUNNER, encoding="utf-8")
    code = f"from tiphys.compiler.load import load; print(load({str(tmp_path / 'near.py')!r}).generate_name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "gate-", done.stderr


BUILDS = {
    "template": ("", 'build = Container(name="build", image="alpine:3.20", command=["echo", "hi"])'),
    "script": ("@script(image='python:3.11')\ndef build():\n    print(1)\n", "build()"),
    "runner": (
        "@script(constructor='runner', image='a:1')\ndef build(n: int):\n    print(n)\n",
        "build(arguments={'n': 1})",
    ),
    "class": (
        "class build:\n    def __init__(self, x): ...\n",
        'Container(name="build", image="a:1", command=["b"])',
    ),
}


@pytest.mark.parametrize("case", BUILDS)
def test_only_a_plain_function_called_build_builds(tmp_path: Path, case: str) -> None:
    before, inside = BUILDS[case]
    file = tmp_path / "ci.py"
    file.write_text(
        "from hera.workflows import Container, Steps, Workflow, script\n"
        + before
        + "with Workflow(generate_name='ci-', entrypoint='m') as w:\n    "
        + (inside if "Container" in inside else f"with Steps(name='m'):\n        {inside}")
        + "\n",
        encoding="utf-8",
    )
    assert load(str(file)).generate_name == "ci-"


def test_a_component_called_build_is_no_build_function(tmp_path: Path) -> None:
    file = tmp_path / "ci.py"
    text = PIPELINE.partition("def build")[0].replace("def step", "def build")
    file.write_text(text + "with Pipeline('ci') as p:\n    task = build(text='x')\n", encoding="utf-8")
    assert load(str(file)).generate_name == "ci-"
    with pytest.raises(DefinitionError) as caught:
        load(f"{file}:build")
    assert caught.value.code == "TIP120" and "Component" in caught.value.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Workflow(generate_name='x-', entrypoint='m', nonsense=1)", "nonsense"),
        ("json.loads('{')", "JSONDecodeError"),
        ("Container(name='c', nonsense=7)", "nonsense"),
    ],
)
def test_an_error_of_the_file_points_at_the_users_line(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "broken_flow.py"
    file.write_text(
        f"import json\nfrom hera.workflows import Container, Workflow\n\n{line}\n", encoding="utf-8"
    )
    with pytest.raises(DefinitionError) as caught:
        load(str(file))
    assert caught.value.code == "TIP120" and words in caught.value.message
    assert caught.value.where.endswith("broken_flow.py:4")


def test_an_annotation_of_build_that_does_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "annotated.py"
    file.write_text(PIPELINE.replace("fast: bool", "fast: Nothing"), encoding="utf-8")
    file.write_text("from __future__ import annotations\n" + file.read_text())
    with pytest.raises(DefinitionError) as caught:
        load(str(file))
    assert caught.value.code == "TIP120" and "Nothing" in caught.value.message
    assert "annotated.py:" in caught.value.where
