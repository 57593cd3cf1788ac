"""Habits of other SDKs, and of Python, that meet a pipeline: each gets a code, the line and our word for it."""

from __future__ import annotations

import copy
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from unittest import mock

import pytest

import tiphys
import tiphys.dsl
from tiphys import Mutex, Pipeline, collect, component, compose, for_each
from tiphys.errors import DefinitionError


@dataclass
class Scores:
    accuracy: float
    label: str


@component
def train(rate: float = 0.1) -> float:
    return rate


@component
def judge(model: str) -> Scores:
    return Scores(1.0, model)


@component
def names() -> list[str]:
    return ["a"]


@component
def gate(score: float) -> bool:
    return score > 0.9


@component
def say(text: str) -> None:
    """Nothing is read of it."""


@component
def count(rates: list[float]) -> int:
    return len(rates)


def named(a: int) -> None:
    """A function that is no component yet."""


CASES: dict[str, tuple[Callable[[], object], str, str]] = {
    # KFP, Flyte, Hera, Airflow on what a call returns
    "gpu": (lambda: train().set_gpu_limit(1), "TIP106", "Resources("),
    "retry": (lambda: train().set_retry(3), "TIP106", "Retry("),
    "caching": (lambda: train().set_caching_options(False), "TIP106", "cache="),
    "display name": (lambda: train().set_display_name("x"), "TIP106", ".named("),
    "overrides": (lambda: train().with_overrides(cpu="1"), "TIP106", ".using("),
    "output": (lambda: judge(model="m").output, "TIP106", "task.accuracy"),
    "downstream": (lambda: train().set_downstream(train()), "TIP106", ".after("),
    "on failure": (lambda: train().on_failure(train()), "TIP106", "on=("),
    "unknown output": (lambda: judge(model="m").outputs["acuracy"], "TIP106", "dataclass"),
    "subscript": (lambda: judge(model="m")["acuracy"], "TIP106", "dataclass"),
    "index": (lambda: judge(model="m")[0], "TIP114", "task.accuracy"),
    # Hera in a call
    "name=": (lambda: train(name="x"), "TIP103", ".named("),
    "arguments=": (lambda: train(arguments={"rate": 1}), "TIP103", "by its name"),
    "with_items=": (lambda: train(with_items=[1]), "TIP103", "for_each("),
    "when=": (lambda: train(when="x"), "TIP103", ".when("),
    "depends=": (lambda: train(depends="x"), "TIP103", ".after("),
    "image=": (lambda: train(image="x"), "TIP103", ".using(image="),
    "retries=": (lambda: train(retries=2), "TIP103", "Retry("),
    # Python's operators
    "<<": (lambda: train() << train(), "TIP105", ".after("),
    ">> text": (lambda: train() >> "x", "TIP105", ".after("),
    "list >>": (lambda: ["x"] >> train(), "TIP105", ".after("),
    "output >>": (lambda: train().result >> train(), "TIP105", ".after("),
    "first": (lambda: names().result[0], "TIP114", "for_each("),
    "slice": (lambda: names().result[1:], "TIP114", "for_each("),
    "plus": (lambda: train().result + 1, "TIP114", "component"),
    "plus right": (lambda: 1 + train().result, "TIP114", "component"),
    "text plus": (lambda: "a" + judge(model="m").label, "TIP114", "compose("),
    "task times": (lambda: train() * 2, "TIP114", "component"),
    "minus": (lambda: -train().result, "TIP114", "component"),
    "len": (lambda: len(names().result), "TIP114", "component"),
    "int": (lambda: int(train().result), "TIP114", "component"),
    "float of a task": (lambda: float(train()), "TIP114", "component"),
    "range": (lambda: range(train().result), "TIP114", "component"),
    "unpack": (lambda: [*judge(model="m")], "TIP114", "task.accuracy"),
    "compared task": (lambda: train().when(train() == 1.0), "TIP114", "compare"),
    "method": (lambda: judge(model="m").label.upper(), "TIP114", "component"),
    "step for each item": (lambda: gate(score=train(rate=for_each([0.1, 0.2]))), "TIP105", "@dag"),
    "secret": (lambda: component(env={"T": {"secretKeyRef": {}}})(named), "TIP105", "Secret"),
    "number in env": (lambda: component(env={"T": 1})(named), "TIP105", '"1"'),
    "is in tasks": (lambda: train().result.is_in(train()), "TIP105", "=="),
    "called again": (lambda: train()(), "TIP114", "call the component"),
    "on exit of text": (lambda: train().on_exit("x"), "TIP105", "on_exit("),  # type: ignore[arg-type]
    "on exit of a task": (lambda: train().on_exit(train()), "TIP105", "on_exit("),  # type: ignore[arg-type]
    "collect of numbers": (lambda: collect(1, 2), "TIP105", "as it is"),  # type: ignore[arg-type]
    # options of another SDK's kind
    "cache=True": (lambda: component(cache=True)(named), "TIP105", "by_content"),  # type: ignore[call-overload]
    "retry=3": (lambda: component(retry=3)(named), "TIP105", "Retry("),  # type: ignore[call-overload]
    "resources={}": (lambda: component(resources={"cpu": "1"})(named), "TIP105", "Resources("),  # type: ignore[call-overload]
    "using retry": (lambda: train.using(retry=3), "TIP105", "Retry("),
    "one lock": (lambda: component(locks=Mutex("m"))(named), "TIP105", "locks=["),  # type: ignore[call-overload]
    # what would be set and have no effect
    "set on a task": (lambda: setattr(train(), "retries", 3), "TIP103", "Retry("),
    "name of a task": (lambda: setattr(train(), "name", "x"), "TIP103", ".named("),
    "output of a task": (lambda: setattr(train(), "result", 1), "TIP103", "using("),
    "set on a component": (lambda: setattr(train, "image", "x"), "TIP103", ".using(image="),
    "misspelt on a component": (lambda: setattr(train, "imgae", "x"), "TIP103", "made"),
    # text
    "f-string in compose": (lambda: compose(f"{train()} {{x}}", x=train()), "TIP119", "compose("),
    "f-string of a task": (lambda: say(text=f"accuracy: {train()}"), "TIP119", "compose("),
    "f-string of two outputs": (lambda: say(text=f"{judge(model='m')}"), "TIP119", "compose("),
    "f-string of outputs": (lambda: say(text=f"{train().outputs}"), "TIP119", "compose("),
    "f-string of a condition": (lambda: say(text=f"{train().result > 1}"), "TIP119", "compose("),
    "f-string of a component": (lambda: say(text=f"{train}"), "TIP119", "compose("),
    "format": (lambda: say(text="{}".format(train())), "TIP119", "compose("),  # noqa: UP032
    "percent": (lambda: say(text="%s" % train()), "TIP119", "compose("),  # noqa: UP031
}


def _foreign(module: str, name: str, **fields: object) -> Any:
    """A class of another SDK, which need not be installed: it is known by the name of its module."""
    return type(name, (), {"__module__": module, **fields})


_DATASET = _foreign("kfp.dsl.types.artifact_types", "Dataset")
_INPUT = _foreign("kfp.dsl.types.type_annotations", "InputAnnotation")
_FLYTE = _foreign("flytekit.types.file.file", "FlyteFile")
_KFP_TASK = _foreign("kfp.dsl.python_component", "PythonComponent")
_FLYTE_TASK = _foreign("flytekit.core.python_function_task", "PythonFunctionTask")


def _annotated(kind: Any, returned: Any = None) -> Any:
    def step(data: str) -> None: ...

    step.__annotations__ = {"data": kind, "return": returned}
    return step


FOREIGN: dict[str, tuple[Callable[[], object], str, str]] = {
    "Input[Dataset]": (lambda: component(_annotated(Annotated[_DATASET, _INPUT])), "TIP110", "Path"),
    "Input() of kfp": (lambda: component(_annotated(Annotated[_DATASET, _INPUT()])), "TIP110", "Path"),
    "FlyteFile": (lambda: component(_annotated(_FLYTE)), "TIP110", "Path"),
    "FlyteFile returned": (lambda: component(_annotated(str, _FLYTE)), "TIP110", "Path"),
    "OutputPath by name": (lambda: component(_annotated("OutputPath")), "TIP110", "Path"),
    "Metrics by name": (lambda: component(_annotated("Metrics")), "TIP110", "dataclass"),
    "kfp component": (lambda: component(_KFP_TASK()), "TIP110", "plain function"),
    "flyte task": (lambda: component(_FLYTE_TASK()), "TIP110", "plain function"),
    "dsl.Condition": (lambda: tiphys.dsl.Condition, "TIP103", ".when("),
    "dsl.If": (lambda: tiphys.dsl.If, "TIP103", ".when("),
    "dsl.ParallelFor": (lambda: tiphys.dsl.ParallelFor, "TIP103", "for_each("),
    "dsl.Collected": (lambda: tiphys.dsl.Collected, "TIP103", "list"),
    "dsl.ExitHandler": (lambda: tiphys.dsl.ExitHandler, "TIP103", "exit_handler("),
    "dsl.importer": (lambda: tiphys.dsl.importer, "TIP103", "Reference"),
    "dsl.Dataset": (lambda: tiphys.dsl.Dataset, "TIP103", "Path"),
    "dsl.container_component": (lambda: tiphys.dsl.container_component, "TIP103", "container("),
    "tiphys.task": (lambda: tiphys.task, "TIP103", "@component"),
    "tiphys.workflow": (lambda: tiphys.workflow, "TIP103", "with Pipeline"),
    "tiphys.FlowSpec": (lambda: tiphys.FlowSpec, "TIP103", "with Pipeline"),
    "tiphys.map_task": (lambda: tiphys.map_task, "TIP103", "for_each("),
    "tiphys.Parameter": (lambda: tiphys.Parameter, "TIP103", "pipeline.param("),
    "tiphys.LaunchPlan": (lambda: tiphys.LaunchPlan, "TIP103", "as_cron("),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_word_of_another_sdk_gets_ours(case: str) -> None:
    act, code, word = FOREIGN[case]
    with pytest.raises(DefinitionError) as caught:
        act()
    assert caught.value.code == code
    assert word in caught.value.fix, caught.value
    assert "test_habits.py:" in caught.value.where


def test_a_step_of_metaflow_is_told() -> None:
    def train(rate: float) -> float:
        return rate

    train.is_step = True  # type: ignore[attr-defined]
    with pytest.raises(DefinitionError, match="TIP110") as caught:
        component(train)
    assert "@component" in caught.value.fix


def test_other_names_are_missing_as_ever() -> None:
    for module in (tiphys, tiphys.dsl):
        for name in ("Condition", "nothing", "__nothing__"):
            assert not hasattr(module, name)


@pytest.mark.parametrize("case", CASES)
def test_a_habit_gets_a_code_and_our_word(case: str) -> None:
    act, code, word = CASES[case]
    with Pipeline("habits"), pytest.raises(DefinitionError) as caught:
        act()
    error = caught.value
    assert error.code == code, error
    assert word in error.fix, error
    place, _, line = error.where.rpartition(":")
    assert place.endswith("test_habits.py") and f'"{case}"' in linecache.getline(__file__, int(line))


def test_a_component_of_a_template() -> None:
    from hera.workflows import script

    @script(image="python:3.11")
    def hera_made(a: int) -> None:
        """Nothing is read of it."""

    for made in (hera_made, train):
        with pytest.raises(DefinitionError) as caught:
            component(made)
        assert caught.value.code == "TIP110" and "test_habits.py" in caught.value.where


def test_a_task_answers_what_python_asks_of_any_object() -> None:
    with Pipeline("asked") as p:
        task = train()
        for asked in (task, task.outputs):
            assert not hasattr(asked, "to_dict") and not hasattr(asked, "_repr_html_")
            assert getattr(asked, "templates", None) is None
            assert "train" in repr(asked)
            mock.create_autospec(asked)
        copy.copy(task)
        assert task and task in [task] and task != train()
        with pytest.raises(AttributeError):
            task.nothing  # noqa: B018
    assert p.to_dict()


def test_a_value_answers_what_python_asks_of_any_object() -> None:
    with Pipeline("asked"):
        value = train().result
        assert not hasattr(value, "to_dict") and getattr(value, "_repr_html_", None) is None
        mock.create_autospec(value)
        assert copy.copy(value).describe() == copy.deepcopy(value).describe() == value.describe()


def test_outputs_by_name_as_in_a_mapping() -> None:
    with Pipeline("mapping") as p:
        first = judge(model="m")
        say(text=first.outputs["label"])
        say(text=first["label"])
    tasks = p.to_dict()["spec"]["templates"][0]["dag"]["tasks"]
    assert [t["depends"] for t in tasks[1:]] == ["judge", "judge"]


def test_a_task_stands_for_its_only_output_in_a_condition() -> None:
    def whens(p: Pipeline) -> list[str]:
        return [t["when"] for t in p.to_dict()["spec"]["templates"][0]["dag"]["tasks"] if "when" in t]

    def build(by_task: bool) -> Pipeline:
        with Pipeline("conditions") as p:
            score = train()
            value = score if by_task else score.result
            passed = gate(score=0.5)
            ok = passed if by_task else passed.result
            say(text="a").when(ok)
            say(text="b").when(~ok)
            say(text="c").when((value >= 0.9) & ok)
            say(text="d").when(train().result < value)
        return p

    assert whens(build(True)) == whens(build(False))
    assert len(whens(build(True))) == 4


def test_a_task_stands_for_its_only_output_in_text_and_lists() -> None:
    def build(by_task: bool) -> dict[str, object]:
        with Pipeline("values") as p:
            task = train()
            value = task if by_task else task.result
            say(text=compose("rate {x}, {n}", x=value, n=3))
            count(rates=collect(value, value))
        return p.to_dict()

    assert build(True) == build(False)


def test_an_order_may_be_written_with_arrows() -> None:
    with Pipeline("arrows") as p:
        first, second, third = train(), gate(score=0.5), count(rates=[0.1])
        assert first >> [second, third] == [second, third]
        [second, third] >> say(text="x") >> say(text="y").named("last")
    tasks = p.to_dict()["spec"]["templates"][0]["dag"]["tasks"]
    assert [t.get("depends") for t in tasks] == [None, "train", "train", "gate && count", "say"]


def test_loops_still_take_tasks() -> None:
    with Pipeline("loops") as p:
        say(text=for_each(names()))
    assert "withParam" in tiphys.to_yaml(p)
