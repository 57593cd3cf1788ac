"""What is written wrong is refused when it is written: code, Python line, cause, fix and near miss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest

import tiphys
from tiphys import (
    Cache,
    DefinitionError,
    Gang,
    Mutex,
    Pipeline,
    Reference,
    Resource,
    Resources,
    Retry,
    Semaphore,
    Serving,
    TFJob,
    Volume,
    component,
    compose,
    dag,
    for_each,
    workflow_status,
)


@dataclass(frozen=True)
class Scores:
    accuracy: float
    label: str


@component
def score(model: str, limit: int = 3) -> Scores:
    return Scores(limit / 10, model)


@component
def join(texts: list[str]) -> str:
    return ",".join(texts)


@component
def judge(scores: Scores) -> None:
    """Takes a dataclass."""


@component
def tabulate(rows: dict[str, list[int]]) -> None:
    """Takes nested collections."""


@component
def half(number: float) -> float:
    return number / 2


@component
def choose(mode: Literal["mean", "vote"]) -> None:
    """Returns nothing."""


@component
def load(data: Reference) -> None:
    """Returns nothing."""


def train_model(data: str, output: str, work: str, epochs: int = 1) -> None:
    """A training function for tests."""


def unknown_input(p: Pipeline) -> None:
    score(model="cnn", limt=3)  # HERE


def missing_input(p: Pipeline) -> None:
    score(limit=3)  # HERE


def wrong_literal(p: Pipeline) -> None:
    score(model="cnn", limit="three")  # HERE


def bool_for_int(p: Pipeline) -> None:
    score(model="cnn", limit=True)  # HERE


def twice(p: Pipeline) -> None:
    score("cnn", model="cnn")  # HERE


def too_many(p: Pipeline) -> None:
    score("cnn", 1, 2)  # HERE


def wrong_output_type(p: Pipeline) -> None:
    half(number=score(model="cnn").label)  # HERE


def wrong_list(p: Pipeline) -> None:
    join(texts=score(model="cnn").accuracy)  # HERE


def wrong_item(p: Pipeline) -> None:
    join(texts=["a", 1])  # HERE


def wrong_field(p: Pipeline) -> None:
    judge(scores=Scores("high", "x"))  # type: ignore[arg-type]  # HERE


def unknown_field(p: Pipeline) -> None:
    judge(scores={"accuracy": 0.5, "lable": "x"})  # HERE


def wrong_mapping(p: Pipeline) -> None:
    tabulate(rows={"a": [1, None]})  # HERE


def unknown_output(p: Pipeline) -> None:
    half(number=score(model="cnn").acuracy)  # HERE


def many_outputs(p: Pipeline) -> None:
    half(number=score(model="cnn"))  # HERE


def no_outputs(p: Pipeline) -> None:
    half(number=choose(mode="mean"))  # HERE


def wrong_choice(p: Pipeline) -> None:
    choose(mode="median")  # HERE


def wrong_choices(p: Pipeline) -> None:
    choose(mode=p.param("combine", "mean", choices=("mean", "max")))  # HERE


def wrong_reference(p: Pipeline) -> None:
    load(data="/tmp/data")  # HERE


def template_tag(p: Pipeline) -> None:
    score(model="{{workflow.name}}")  # HERE


def f_string(p: Pipeline) -> None:
    name = p.param("name", "x")
    score(model=f"model-{name}")  # HERE


def python_if(p: Pipeline) -> None:
    if score(model="cnn").accuracy > 0.5:  # HERE
        pass


def python_loop(p: Pipeline) -> None:
    for _ in score(model="cnn").label:  # HERE
        pass


def text_order(p: Pipeline) -> None:
    score(model="x").when(p.param("mode", "a") > "b")  # HERE


def not_a_condition(p: Pipeline) -> None:
    score(model="x").when("mode == 'a'")  # HERE


def compare_text_with_number(p: Pipeline) -> None:
    score(model="x").when(score(model="y").accuracy > "high")  # HERE


def illegal_task_name(p: Pipeline) -> None:
    score(model="x").named("My Task")  # HERE


def duplicate_task_name(p: Pipeline) -> None:
    score(model="x").named("a")
    score(model="y").named("a")  # HERE


def duplicate_parameter(p: Pipeline) -> None:
    p.param("a", 1)
    p.param("a", 2)  # HERE


def illegal_parameter(p: Pipeline) -> None:
    p.param("min accuracy", 1)  # HERE


def default_out_of_range(p: Pipeline) -> None:
    p.param("min-accuracy", 1.5, minimum=0.0, maximum=1.0)  # HERE


def default_not_a_choice(p: Pipeline) -> None:
    p.param("combine", "max", choices=("mean", "vote"))  # HERE


def strange_parameter(p: Pipeline) -> None:
    p.param("x", {1})  # HERE


def unknown_result(p: Pipeline) -> None:
    score(model="x").after(score(model="y"), on="succeded")  # HERE


def after_a_string(p: Pipeline) -> None:
    score(model="x").after("score")  # HERE


def two_exit_handlers(p: Pipeline) -> None:
    p.exit_handler()
    p.exit_handler("again")  # HERE


def loop_over_text(p: Pipeline) -> None:
    for_each("abc")  # HERE


def loop_over_one_value(p: Pipeline) -> None:
    for_each(score(model="x").label)  # HERE


def compose_without_value(p: Pipeline) -> None:
    compose("runs/{run}/{step}", run=workflow_status)  # HERE


def no_workers(p: Pipeline) -> None:
    TFJob(train_model, workers=0)  # HERE


def gang_does_not_fit(p: Pipeline) -> None:
    TFJob(train_model, workers=4, gang=Gang(capacity=3))  # HERE


def no_capacity(p: Pipeline) -> None:
    Gang(capacity=0)  # HERE


def unknown_folder(p: Pipeline) -> None:
    TFJob(train_model, folders={"outptu": "pvc://tiphys/models"})  # HERE


def not_a_claim(p: Pipeline) -> None:
    TFJob(train_model, folders={"output": "/models", "work": "pvc://tiphys/w"})  # HERE


def unknown_instance(p: Pipeline) -> None:
    TFJob(train_model, instance="model")  # HERE


def unknown_restart_policy(p: Pipeline) -> None:
    TFJob(train_model, restart_policy="OnFail")  # type: ignore[arg-type]  # HERE


def no_replicas(p: Pipeline) -> None:
    Serving("m", replicas=0)  # HERE


def illegal_model_name(p: Pipeline) -> None:
    Serving("My Model")  # HERE


def no_limit(p: Pipeline) -> None:
    Semaphore("gpu", 0)  # HERE


def illegal_mutex(p: Pipeline) -> None:
    Mutex("a_b")  # HERE


def not_a_duration(p: Pipeline) -> None:
    Cache.by_content(max_age="2 fortnights")  # HERE


def negative_age(p: Pipeline) -> None:
    Cache.by_age(timedelta(seconds=-1))  # HERE


def no_retries(p: Pipeline) -> None:
    Retry(limit=0)  # HERE


def backoff_without_start(p: Pipeline) -> None:
    Retry(max_backoff="5m")  # HERE


def not_a_quantity(p: Pipeline) -> None:
    Resources(memory="1 GB")  # HERE


def illegal_claim(p: Pipeline) -> None:
    Volume("My_Data")  # HERE


def illegal_mount(p: Pipeline) -> None:
    Volume("data", "mnt/data")  # HERE


def unknown_action(p: Pipeline) -> None:
    Resource("r", {"kind": "Job"}, action="creat")  # type: ignore[arg-type]  # HERE


def no_manifest(p: Pipeline) -> None:
    Resource("r")  # HERE


def unknown_option(p: Pipeline) -> None:
    score.using(imgae="x")  # HERE


CASES: list[tuple[Callable[[Pipeline], None], str, str]] = [
    (unknown_input, "TIP103", "Did you mean 'limit'?"),
    (missing_input, "TIP104", "'model'"),
    (wrong_literal, "TIP105", "limit: int, but got 'three'"),
    (bool_for_int, "TIP105", "limit: int"),
    (twice, "TIP103", "twice"),
    (too_many, "TIP103", "takes 2 inputs"),
    (wrong_output_type, "TIP105", "number: float"),
    (wrong_list, "TIP105", "list[str]"),
    (wrong_item, "TIP105", "list[str]"),
    (wrong_field, "TIP105", "Scores"),
    (unknown_field, "TIP105", "Scores"),
    (wrong_mapping, "TIP105", "dict[str, list[int]]"),
    (unknown_output, "TIP106", "Did you mean 'accuracy'?"),
    (many_outputs, "TIP106", "has 2 outputs"),
    (no_outputs, "TIP106", "has 0 outputs"),
    (wrong_choice, "TIP105", "'median'"),
    (wrong_choices, "TIP105", "'max'"),
    (wrong_reference, "TIP105", "Reference"),
    (template_tag, "TIP119", "{{"),
    (f_string, "TIP119", "{{"),
    (python_if, "TIP114", "accuracy"),
    (python_loop, "TIP114", "looped"),
    (text_order, "TIP105", "orders text"),
    (not_a_condition, "TIP114", "not a condition"),
    (compare_text_with_number, "TIP105", "'high'"),
    (illegal_task_name, "TIP101", "'My Task'"),
    (duplicate_task_name, "TIP102", "'a'"),
    (duplicate_parameter, "TIP102", "'a'"),
    (illegal_parameter, "TIP101", "'min accuracy'"),
    (default_out_of_range, "TIP109", "at most 1.0"),
    (default_not_a_choice, "TIP109", "'mean', 'vote'"),
    (strange_parameter, "TIP105", "set"),
    (unknown_result, "TIP105", "Did you mean 'succeeded'"),
    (after_a_string, "TIP105", "'score'"),
    (two_exit_handlers, "TIP102", "two exit handlers"),
    (loop_over_text, "TIP118", "str"),
    (loop_over_one_value, "TIP118", "not a list"),
    (compose_without_value, "TIP103", "step"),
    (no_workers, "TIP109", "workers=0"),
    (gang_does_not_fit, "TIP109", "never fits"),
    (no_capacity, "TIP109", "capacity"),
    (unknown_folder, "TIP103", "Did you mean 'output'?"),
    (not_a_claim, "TIP101", "'/models'"),
    (unknown_instance, "TIP103", "instance='model'"),
    (unknown_restart_policy, "TIP105", "Did you mean 'OnFailure'?"),
    (no_replicas, "TIP109", "replicas=0"),
    (illegal_model_name, "TIP101", "'My Model'"),
    (no_limit, "TIP116", "limit 0"),
    (illegal_mutex, "TIP101", "'a_b'"),
    (not_a_duration, "TIP115", "2 fortnights"),
    (negative_age, "TIP115", "max_age"),
    (no_retries, "TIP109", "limit=0"),
    (backoff_without_start, "TIP109", "max_backoff"),
    (not_a_quantity, "TIP109", "1 GB"),
    (illegal_claim, "TIP101", "'My_Data'"),
    (illegal_mount, "TIP101", "'mnt/data'"),
    (unknown_action, "TIP105", "Did you mean 'create'?"),
    (no_manifest, "TIP104", "manifest"),
    (unknown_option, "TIP103", "'imgae'"),
]


@pytest.mark.parametrize("write, code, words", CASES, ids=[case[0].__name__ for case in CASES])
def test_it_is_refused_where_it_is_written(write: Callable[[Pipeline], None], code: str, words: str) -> None:
    lines, first = inspect.getsourcelines(write)
    line = first + next(i for i, text in enumerate(lines) if "# HERE" in text)
    with Pipeline("p") as pipeline, pytest.raises(DefinitionError) as caught:
        write(pipeline)
    error = caught.value
    assert error.code == code
    assert words in error.message
    assert error.where.endswith(f"test_definitions.py:{line}")
    assert error.fix


def compile_error(write: Callable[[Pipeline], Any]) -> DefinitionError:
    with Pipeline("p") as pipeline:
        write(pipeline)
    with pytest.raises(DefinitionError) as caught:
        tiphys.to_yaml(pipeline)
    assert caught.value.fix
    assert "test_definitions.py:" in caught.value.where
    return caught.value


def test_a_cycle_is_named_with_its_lines() -> None:
    def write(_: Pipeline) -> None:
        first = score(model="a").named("first")
        second = score(model=first.label).named("second")
        first.after(second)

    error = compile_error(write)
    assert error.code == "TIP107"
    assert "first -> second -> first" in error.message
    assert error.cause.count("test_definitions.py:") == 2


def test_a_task_cannot_wait_for_itself() -> None:
    error = compile_error(lambda _: (task := score(model="a")).after(task))
    assert error.code == "TIP107"


def test_an_empty_pipeline_is_refused() -> None:
    assert compile_error(lambda _: None).code == "TIP113"


def test_two_templates_of_one_name_are_refused_not_merged() -> None:
    def write(_: Pipeline) -> None:
        component(train_model, name="same")(data="a", output="b", work="c")
        component(train_model, name="same", image="other")(data="a", output="b", work="c")

    assert compile_error(write).code == "TIP117"


def test_equal_templates_of_one_name_are_one() -> None:
    with Pipeline("p") as pipeline:
        component(train_model, name="same")(data="a", output="b", work="c")
        component(train_model, name="same")(data="b", output="b", work="c")
    assert [t["name"] for t in pipeline.to_dict()["spec"]["templates"]] == ["main", "same"]


def test_a_default_that_argo_would_substitute_is_refused() -> None:
    @component
    def tagged(text: str = "{{workflow.name}}") -> None: ...

    error = compile_error(lambda _: tagged())
    assert error.code == "TIP119"


def test_two_limits_of_one_semaphore_are_refused() -> None:
    def write(_: Pipeline) -> None:
        for limit in (1, 2):
            component(train_model, name=f"t{limit}", locks=[Semaphore("gpu", limit)])(
                data="", output="", work=""
            )

    error = compile_error(write)
    assert (error.code, "1 and 2" in error.message) == ("TIP116", True)


def test_an_output_of_another_graph_must_be_passed_in() -> None:
    def write(_: Pipeline) -> None:
        outside = score(model="a")

        @dag
        def inside(text: str) -> None:
            half(number=outside.accuracy)

        inside(text="x")

    error = compile_error(write)
    assert error.code == "TIP108"
    assert "another" in error.message or "graph" in error.message


def test_a_parameter_of_another_pipeline_is_refused() -> None:
    other = Pipeline("other").param("x", "y")
    assert compile_error(lambda _: score(model=other)).code == "TIP108"


def test_two_loops_in_one_task_are_refused() -> None:
    def write(_: Pipeline) -> None:
        score(model=for_each(["a", "b"]), limit=for_each([1, 2]))

    assert compile_error(write).code == "TIP118"


def test_an_unknown_input_in_ignore_is_refused() -> None:
    def write(_: Pipeline) -> None:
        component(train_model, cache=Cache.by_content(ignore=["dta"]))(data="", output="", work="")

    error = compile_error(write)
    assert error.code == "TIP103"
    assert "Did you mean 'data'?" in error.message


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: x, "no type"),
        (lambda *a: None, "cannot be an input"),
    ],
)
def test_functions_without_types_are_refused(function: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        component(function)
    assert caught.value.code == "TIP110"
    assert words in caught.value.message


def test_async_functions_and_generators_are_refused() -> None:
    async def later(x: int) -> int:
        return x

    def many(x: int) -> Iterator[int]:
        yield x

    functions: list[Callable[..., Any]] = [later, many]
    for function in functions:
        with pytest.raises(DefinitionError) as caught:
            component(function)
        assert caught.value.code == "TIP110"


def test_a_type_that_has_no_text_is_refused() -> None:
    def uses(handle: object) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        component(uses)
    assert caught.value.code == "TIP110"


def test_no_return_type_is_refused() -> None:
    def silent(x: int):  # type: ignore[no-untyped-def]
        return x

    with pytest.raises(DefinitionError) as caught:
        component(silent)
    assert (caught.value.code, "returns" in caught.value.message) == ("TIP110", True)


def test_a_dag_checks_what_it_returns() -> None:
    @dag
    def wrong(model: str) -> float:
        return score(model=model).label  # type: ignore[no-any-return]

    error = compile_error(lambda _: wrong(model="a"))
    assert error.code == "TIP105"


def test_outside_a_pipeline_a_component_is_its_function() -> None:
    assert score(model="cnn", limit=5) == Scores(0.5, "cnn")


def test_outside_a_pipeline_a_resource_cannot_be_called() -> None:
    with pytest.raises(DefinitionError) as caught:
        Serving("m").deploy(name="a", model="pvc://tiphys/m")
    assert caught.value.code == "TIP113"


def test_a_training_function_must_be_importable() -> None:
    def local(output: str, work: str) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        TFJob(local)
    assert caught.value.code == "TIP110"
