"""Words of other SDKs (Hera, KFP, Flyte, Metaflow, Airflow) that a hand may write here, and our words for them."""

from __future__ import annotations

import typing
from typing import get_args

from tiphys.compiler.line import caller
from tiphys.errors import UnknownNameError

__all__ = ["of_annotation", "of_call", "of_name", "of_object", "of_task", "unknown"]

_RESOURCES = "give the component resources: @component(resources=Resources(cpu=…, memory=…, gpu=…))"
_RETRY = "give the component retry=Retry(…)"
_CACHE = "give the component cache=Cache.by_content(), or none; a single run is told --cache refresh or never"
_USING = "give the call other options: train(…).using(resources=…, image=…)"
_AFTER = "write second.after(first); a task that takes another's output waits for it anyway"
_AFTER_ON = 'write second.after(first, on=("failed", "errored"))'
_OUTPUT = "the task itself stands for its only output; name one of several: task.accuracy"
_LOOP = "pass for_each(items) as the input: train(rate=for_each([0.1, 0.01]))"
_NAMED = 'name the task after the call: train(…).named("first")'
_ENV = "give the component env={…}"
_TIMEOUT = 'give the component timeout="1h"'
_PLACE = "give the component, or the pipeline, scheduling=Scheduling(node_selector=…, tolerations=…)"
_SECRETS = 'give the component secrets=[Secret("s3", "access-key", env="AWS_ACCESS_KEY_ID")]'
_POD = "give the component pod=PodSettings(…)"


def _same(word: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, word)


_TASK = {
    **_same(_RESOURCES, "set_gpu_limit", "set_cpu_limit", "set_cpu_request", "set_memory_limit"),
    **_same(_RESOURCES, "set_memory_request", "set_accelerator_limit", "set_accelerator_type"),
    **_same(_RESOURCES, "add_resource_request", "add_resource_limit", "set_resource_requirements"),
    **_same(_RETRY, "set_retry", "retry", "retries"),
    **_same(_CACHE, "set_caching_options", "enable_caching", "set_caching"),
    **_same(_NAMED, "set_display_name", "with_display_name", "set_name", "alias"),
    **_same(_USING, "with_overrides", "with_options", "override", "options", "set_container_image"),
    **_same(_ENV, "set_env_variable", "add_env_variable", "set_env"),
    **_same(_TIMEOUT, "set_timeout", "with_timeout"),
    **_same(_PLACE, "add_node_selector_constraint", "add_node_selector", "add_toleration", "add_affinity"),
    **_same(_SECRETS, "use_secret_as_env", "use_secret_as_volume", "use_config_map_as_env"),
    **_same(_POD, "add_pod_label", "add_pod_annotation", "mount_pvc", "with_pod_template", "add_volume"),
    **_same(_OUTPUT, "output", "get_parameter", "get_result_as", "get_result", "get_artifact"),
    **_same(
        _AFTER, "next", "then", "set_downstream", "set_upstream", "runs_before", "run_after", "on_success"
    ),
    **_same(_AFTER_ON, "on_failure", "on_error", "on_other_result", "ignore_upstream_failure"),
    **_same(_LOOP, "with_items", "with_param", "with_sequence", "map", "expand", "foreach"),
}

_CALL = {
    "name": _NAMED,
    "arguments": "pass each input by its name: train(rate=0.1)",
    "inputs": "pass each input by its name: train(rate=0.1)",
    **_same(_LOOP, "with_items", "with_param", "with_sequence", "items"),
    **_same(_AFTER, "depends", "dependencies", "after", "run_after"),
    **_same("write it after the call: train(…).when(accuracy.result >= 0.9)", "when", "condition"),
    **_same("write it after the call: train(…).on_exit(clean_up)", "on_exit", "hooks"),
    **_same(_RETRY, "retry_strategy", "retries"),
    "continue_on": _AFTER_ON,
    "memoize": _CACHE,
    "active_deadline_seconds": _TIMEOUT,
}


def of_task(name: str) -> str:
    """Our word for an attribute that is looked for in a task, or nothing."""
    return _TASK.get(name, "")


def of_call(name: str, options: frozenset[str] = frozenset()) -> str:
    """Our word for an argument of a call that is no input, or nothing. ``options`` are those of the component."""
    if name in options - {"name"}:
        return f"it is an option of the component, for this call: train(…).using({name}=…)"
    return _CALL.get(name, "")


_COMPONENT = "write @component (from tiphys import component) above the plain function, and nothing else"
_PIPELINE = (
    'write `with Pipeline("name") as pipeline:` and call the components in it; @dag makes a part of a graph'
)
_FILES = (
    "a file is a Path: `def train(data: Path) -> Path`; numbers and words are what the function returns, several of "
    "them the fields of a dataclass"
)
_FOLDER = "data in a volume is a tiphys.Reference, which is returned"
_PARAM = 'rate = pipeline.param("rate", 0.1), and pass it: train(rate=rate)'
_WHEN = "write it after the call: train(…).when(accuracy.result >= 0.9)"

_NAME = {
    **_same(_COMPONENT, "task", "script", "step", "component", "python_component", "python_app", "op"),
    **_same(_COMPONENT, "create_component_from_func", "func_to_container_op", "dynamic"),
    **_same(
        _PIPELINE, "workflow", "flow", "FlowSpec", "pipeline", "subworkflow", "job", "DAG", "GraphComponent"
    ),
    **_same(_WHEN, "Condition", "If", "Elif", "Else", "conditional", "OneOf"),
    **_same(_LOOP, "ParallelFor", "map_task", "foreach", "array_node_map_task"),
    "Collected": "the output of a task that has a loop item is the list of all: add(numbers=measure(word=word).result)",
    "ExitHandler": 'write `with pipeline.exit_handler("name"):`, or train(…).on_exit(clean_up)',
    **_same(_FOLDER, "importer", "Importer", "StructuredDataset", "FlyteSchema"),
    **_same(
        _FILES, "Input", "Output", "InputPath", "OutputPath", "InputArtifact", "OutputArtifact", "Artifact"
    ),
    **_same(_FILES, "Dataset", "Model", "Metrics", "ClassificationMetrics", "HTML", "Markdown"),
    **_same(_FILES, "FlyteFile", "FlyteDirectory", "PNGImageFile", "JPEGImageFile", "CSVFile", "IncludeFile"),
    **_same('write container("alpine:3.20", […], inputs={…}, outputs={…})', "ContainerSpec", "ContainerTask"),
    "container_component": 'write container("alpine:3.20", […], inputs={…}, outputs={…})',
    **_same(_PARAM, "Parameter", "PipelineParam"),
    **_same(_RETRY, "retry", "catch"),
    **_same(_SECRETS, "use_secret_as_env", "secrets"),
    **_same('cron = pipeline.as_cron("0 3 * * *")', "LaunchPlan", "CronSchedule", "schedule"),
    "kubernetes": _PLACE,
    "resources": _RESOURCES,
    "PipelineTask": "annotate nothing: what a call returns is a task",
}
_OTHERS = frozenset(
    ["kfp", "flytekit", "flytekitplugins", "metaflow", "airflow", "prefect", "dagster", "zenml"]
)


def of_name(name: str) -> str:
    """Our word for what another SDK calls ``name``, or nothing."""
    return _NAME.get(name, "")


def unknown(module: str, name: str) -> AttributeError:
    """What to raise when ``name`` is looked for in ``module``: with our word (TIP103), if it is one of another SDK."""
    words = f"module {module!r} has no attribute {name!r}"
    if name.startswith("_") or not of_name(name):
        return AttributeError(words)
    return UnknownNameError(
        "TIP103",
        words,
        where=str(caller()),
        cause="it is the word of another SDK",
        fix=of_name(name),
    )


def of_object(value: object) -> str:
    """Our word for a decorated function of another SDK, or nothing."""
    kinds = [value, *type(value).__mro__]
    if any(_home(each) in _OTHERS for each in kinds) or getattr(value, "is_step", False) is True:
        return _COMPONENT
    return ""


def of_annotation(kind: object) -> str:
    """Our word for the annotation of another SDK, or nothing: ``Input[Dataset]``, ``FlyteFile``."""
    said = getattr(kind, "__metadata__", ())
    for each in (kind, typing.get_origin(kind), *said, *get_args(kind)):
        if _home(each) in _OTHERS or (said and _home(type(each)) in _OTHERS):
            return of_name(getattr(each, "__name__", type(each).__name__)) or _FILES
    return ""


def _home(value: object) -> str:
    return str(getattr(value, "__module__", "") or "").partition(".")[0]
