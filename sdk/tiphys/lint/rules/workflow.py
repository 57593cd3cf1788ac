"""The workflow as a whole: pod garbage collection, plugins, resources of all pods, queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tiphys.argo.queue_labels import QUEUE
from tiphys.argo.selectors import label_key_problem, label_value_problem
from tiphys.lint.model import WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.rules.leaves import pod_resources

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go"
_STRATEGIES = ("OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess")
_AGAIN = (
    "give it a retryStrategy: {limit: 2, retryPolicy: Always, "
    """expression: "lastRetry.status == 'Error' || lastRetry.exitCode == '143'"}"""
    ", in Python retry=Retry.on_infrastructure()"
)
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@rule(
    "L290",
    "pod-gc",
    "error",
    what="An unknown podGC strategy or an illegal label selector.",
    why="Argo refuses the workflow.",
    source=_VALIDATE,
    fixable=True,
    needs="podGC",
)
def pod_gc(workflow: WorkflowView) -> Iterator[Issue]:
    data, path = workflow.spec.get("podGC") or {}, workflow.at("podGC")
    strategy = data.get("strategy", "")
    if strategy and strategy not in _STRATEGIES:
        words = f"podGC.strategy unknown strategy {strategy!r}"
        yield Issue((*path, "strategy"), words, near=_STRATEGIES)
    selector, path = data.get("labelSelector") or {}, (*path, "labelSelector")
    for key, value in (selector.get("matchLabels") or {}).items():
        if label_key_problem(key) or label_value_problem(value):
            words = f"podGC.labelSelector invalid: label {key!r}: {value!r}"
            yield Issue((*path, "matchLabels", key), words, key=True)
    for index, item in enumerate(selector.get("matchExpressions") or []):
        place, operator = (*path, "matchExpressions", index), item.get("operator", "")
        values = item.get("values") or []
        if operator not in _OPERATORS:
            words = f"podGC.labelSelector invalid: {operator!r} is not a valid label selector operator"
            yield Issue((*place, "operator"), words, near=_OPERATORS)
        elif (operator in ("In", "NotIn")) != bool(values):
            words = f"podGC.labelSelector invalid: values of {operator} "
            yield Issue(place, words + ("are missing" if not values else "are not allowed"))
        elif label_key_problem(item.get("key", "")) or any(map(label_value_problem, values)):
            yield Issue(place, f"podGC.labelSelector invalid: label {item.get('key', '')!r}")


@rule(
    "L291",
    "executor-plugins",
    "error",
    what="An executor plugin without a name, a port, resource requests and limits, or a security context.",
    why="Argo starts its sidecar with them.",
    source=_VALIDATE,
    needs="executorPlugins",
)
def executor_plugins(workflow: WorkflowView) -> Iterator[Issue]:
    for index, item in enumerate(workflow.spec.get("executorPlugins") or []):
        if not (item.get("metadata") or {}).get("name"):
            words = "spec.executorPlugins: executor plugin metadata name is mandatory"
            yield Issue(workflow.at("executorPlugins", index), words)
        container = ((item.get("spec") or {}).get("sidecar") or {}).get("container") or {}
        resources = container.get("resources") or {}
        for there, what in (
            (container.get("ports"), "at least one port is"),
            ("requests" in resources, "resources requests are"),
            ("limits" in resources, "resources limits are"),
            ("securityContext" in container, "security context is"),
        ):
            if not there:
                path = workflow.at("executorPlugins", index, "spec", "sidecar", "container")
                yield Issue(path, f"spec.executorPlugins: {what} mandatory")


@rule(
    "L292",
    "workflow-pod-resources",
    "error",
    what="podResources of the workflow with resources that a pod as a whole cannot have.",
    why="A pod as a whole has only cpu, memory and hugepages.",
    source=_VALIDATE,
    needs="podResources",
)
def workflow_pod_resources(workflow: WorkflowView) -> Iterator[Issue]:
    yield from pod_resources("spec.podResources", workflow.at("podResources"), workflow.spec)


@rule(
    "L410",
    "preempted-for-good",
    "warning",
    what="A step that waits in a queue of Kueue and is not tried again when it is preempted.",
    why="Kueue deletes the pod: the step ends in Error (`pod deleted`), or Failed with exit code 143, whichever the "
    "controller sees first, and the run with it.",
    source="seen on Kueue 0.17 with Argo 4.0.5; Kueue's documentation, plain pods",
    needs=QUEUE,
)
def preempted_for_good(workflow: WorkflowView) -> Iterator[Issue]:
    everywhere = (workflow.spec.get("podMetadata") or {}).get("labels") or {}
    shared = workflow.spec.get("templateDefaults") or {}
    again = _tried_again(workflow, shared)
    for template in workflow.every_template():
        own = (template.data.get("metadata") or {}).get("labels") or {}
        if template.pod and (QUEUE in everywhere or QUEUE in own) and template.name not in again:
            words = f"{template.label} is preempted for good: it is not tried again when its pod is deleted"
            yield Issue(template.path, words, fix=_AGAIN)


def _tried_again(workflow: WorkflowView, shared: Mapping[str, object]) -> set[str]:
    """The names of templates that begin anew however they end, or are called by one that does."""
    calls = {
        each.name: [call.data.get("template", "") for call in each.calls()]
        for each in workflow.every_template()
    }
    usual = shared.get("retryStrategy") or workflow.spec.get("retryStrategy")
    found = {
        each.name for each in workflow.every_template() if _always(each.data.get("retryStrategy") or usual)
    }
    below = list(found)
    while below:
        fresh = [name for name in calls.get(below.pop(), ()) if name not in found]
        found.update(fresh)
        below += fresh
    return found


def _always(strategy: object) -> bool:
    """Without a policy Argo takes OnFailure, or Always where there is an expression (which then decides)."""
    if not isinstance(strategy, dict):
        return False
    policy = strategy.get("retryPolicy") or ("Always" if strategy.get("expression") else "OnFailure")
    return policy == "Always" or "{{" in str(policy)
