"""Words of other SDKs (Hera, KFP, Flyte, Metaflow, Airflow) that a hand may write here, and our words for them."""

from __future__ import annotations

__all__ = ["of_call", "of_task"]

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
