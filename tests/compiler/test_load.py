"""Loading a pipeline by path or module, with settings and parameters as text."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import tiphys
from tiphys.compiler import load, load_with, to_yaml
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
        (predict.predict, ("combine", "count", "seed")),
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
