"""Memoization: keys, ages and caches that Argo refuses only when the step is reached."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.cache_mode import JUDGED
from tiphys.expr.dependencies import dependencies
from tiphys.expr.durations import in_hours, is_go
from tiphys.lazy import regex
from tiphys.lint.model import Project, TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import expressions, simple_tags

if TYPE_CHECKING:
    from tiphys.argo.types import Memoize

_CACHE = "argo-workflows v4.1.2, workflow/controller/cache; seen on the real controller"
_TAG = regex(r"\{\{.*?\}\}", re.DOTALL)
# One input that its name calls a key: the callers compute it.
_COMPUTED = regex(r"\{\{\s*inputs\.parameters\.[-\w]*(?:key|digest|hash|fingerprint)\s*\}\}\Z", re.I)
_LABEL = "workflows.argoproj.io/configmap-type"


def _memo(template: TemplateView) -> Memoize:
    return template.data.get("memoize") or {}


@rule(
    "L301",
    "memo-key-characters",
    "error",
    what="A memo key with characters other than letters, digits and `-`.",
    why="The node ends in Error (`invalid cache key`) when it is reached; `_ . / :` are all refused.",
    source=_CACHE,
    scope="template",
    fixable=True,
    needs="memoize",
)
def memo_key_characters(template: TemplateView) -> Iterator[Issue]:
    key = _memo(template).get("key", "")
    fixed = _TAG.sub("x", key)
    bad = sorted(set(re.sub(r"[-a-zA-Z0-9]", "", fixed)))
    if key and (bad or fixed.startswith("-")):
        shown = " ".join(repr(letter) for letter in bad) or "a leading '-'"
        words = f"{template.label}.memoize.key {key!r} holds {shown}: invalid cache key at run time"
        path = (*template.path, "memoize", "key")
        yield Issue(path, words, fix="use letters, digits and - only, for example a digest of the inputs")


@rule(
    "L302",
    "memo-key-constant",
    "warning",
    what="A memo key that is the same for all inputs.",
    why="Whatever the inputs, the first result is returned.",
    source=_CACHE,
    scope="template",
    fixable=True,
    needs="memoize",
)
def memo_key_constant(template: TemplateView) -> Iterator[Issue]:
    key = _memo(template).get("key", "")
    if key and "{{" not in key and (template.inputs("parameters") or template.type == "Container"):
        words = f"{template.label}.memoize.key {key!r} is the same for all inputs and versions of the step"
        path = (*template.path, "memoize", "key")
        fix = "make it a digest of the inputs: key-{{=sprig.sha256sum(toJson(inputs.parameters))}}"
        yield Issue(path, words, fix=fix)


@rule(
    "L303",
    "memo-max-age",
    "error",
    what="A maxAge that is no Go duration, such as `14d`.",
    why="The node ends in Error (`invalid maxAge`) when it is reached. Go knows no days: write 336h.",
    source=_CACHE,
    scope="template",
    fixable=True,
    needs="maxAge",
)
def memo_max_age(template: TemplateView) -> Iterator[Issue]:
    age = _memo(template).get("maxAge", "")
    if age and "{{" not in age and not is_go(age):
        better = in_hours(age)
        words = f"{template.label}.memoize.maxAge {age!r} is not a Go duration"
        fix = f"write {better}" if better else "write a number with h, m or s"
        yield Issue((*template.path, "memoize", "maxAge"), words, fix=fix)


@rule(
    "L304",
    "memo-without-cache",
    "error",
    what="memoize without cache.configMap.name.",
    why="The 4.1.2 controller fails with a nil pointer when the step is reached.",
    source=_CACHE,
    scope="template",
    needs="memoize",
)
def memo_without_cache(template: TemplateView) -> Iterator[Issue]:
    if "memoize" in template.data:
        name = ((_memo(template).get("cache") or {}).get("configMap") or {}).get("name", "")
        if not name:
            words = f"{template.label}.memoize has no cache.configMap.name"
            fix = f"add cache: {{configMap: {{name: {template.name}-cache}}}}"
            yield Issue((*template.path, "memoize"), words, fix=fix)


@rule(
    "L305",
    "cache-map-unlabelled",
    "error",
    what="A given ConfigMap that serves as a cache lacks the label of one.",
    why=f"The controller refuses a map without `{_LABEL}: Cache`; the node ends in Error.",
    source=_CACHE,
    scope="project",
    needs="memoize",
)
def cache_map_unlabelled(project: Project) -> Iterator[Issue]:
    used = {name for workflow in project.having("memoize") for _, name in _caches(workflow)}
    for item in project.config_maps():
        if item.name in used and item.labels.get(_LABEL) != "Cache":
            words = f"ConfigMap {item.name!r} is used as a cache but has no label {_LABEL}: Cache"
            yield Issue(("metadata",), words, fix=f"add the label {_LABEL}: Cache", document=item.document)


@rule(
    "L306",
    "cache-map-too-large",
    "error",
    what="A given ConfigMap of more than 1 MiB.",
    why="Kubernetes refuses it. A cache that grows there can no longer be written.",
    source="Kubernetes, ConfigMap: data must not exceed 1048576 bytes",
    scope="project",
    needs="ConfigMap",
)
def cache_map_too_large(project: Project) -> Iterator[Issue]:
    for item in project.config_maps():
        if item.size > 1048576:
            words = f"ConfigMap {item.name!r} holds {item.size} bytes, more than 1048576"
            yield Issue(("data",), words, fix="keep less in it, or in several maps", document=item.document)


@rule(
    "L307",
    "cache-shared",
    "warning",
    what="Two templates that keep their results in one cache ConfigMap with keys that may be equal.",
    why="Equal keys return the other step's outputs; and 1 MiB is the limit for all of them.",
    source=_CACHE,
    needs="memoize",
)
def cache_shared(workflow: WorkflowView) -> Iterator[Issue]:
    seen: dict[tuple[str, str], TemplateView] = {}
    for template, name in _caches(workflow):
        key = _TAG.sub("*", _memo(template).get("key", ""))
        other = seen.setdefault((name, key), template)
        if other is not template:
            words = f"{template.label} and {other.label} share the cache {name!r} and the same form of key"
            path = (*template.path, "memoize", "key")
            yield Issue(
                path, words, fix=f"give it a cache of its own, or begin the key with {template.name}-"
            )


@rule(
    "L308",
    "memo-without-outputs",
    "warning",
    what="A memoized step that hands nothing on.",
    why="A hit returns the recorded outputs only. Files in the container of the first run are gone.",
    source=_CACHE,
    scope="template",
    needs="memoize",
)
def memo_without_outputs(template: TemplateView) -> Iterator[Issue]:
    if "memoize" not in template.data or template.type not in ("Container", "Script", "ContainerSet"):
        return
    if not template.outputs("parameters") and not template.outputs("artifacts"):
        mounts = any(item.get("volumeMounts") for _, item in template.containers())
        words = f"{template.label} is memoized but has no outputs"
        if not mounts:
            words += ": what it writes stays in its own container"
        fix = "declare an output (a reference to the stored data), or remove memoize"
        yield Issue((*template.path, "memoize"), words, fix=fix, key=True)


@rule(
    "L309",
    "memo-key-incomplete",
    "warning",
    what="A cached step with an input that its key leaves out.",
    why="Two calls that differ in that input get the same result.",
    source="the rule of every content-addressed cache",
    scope="template",
    needs="memoize",
)
def memo_key_incomplete(template: TemplateView) -> Iterator[Issue]:
    key = _memo(template).get("key", "")
    if "{{" not in key or _COMPUTED.match(key):
        return
    tags, formulas = set(simple_tags(key)), " ".join(expressions(key))
    if "inputs.parameters" in tags or re.search(r"inputs\.parameters(?![.\[\w])", formulas):
        return
    body = {name: part for name, part in template.data.items() if name not in ("memoize", "synchronization")}
    text = json.dumps(body)
    judged = str((template.data.get("annotations") or {}).get(JUDGED) or "").split(",")
    for index, item in enumerate(template.inputs("parameters")):
        name = item.get("name", "")
        if name in judged:  # a step before this one looks at it, and its answer is in the key
            continue
        spelled = (
            f"inputs.parameters.{name}",
            f"inputs.parameters['{name}']",
            f'inputs.parameters["{name}"]',
        )
        in_key = spelled[0] in tags or any(
            re.search(re.escape(way) + r"(?![-\w])", formulas) for way in spelled
        )
        used = re.search(re.escape(spelled[0]) + r"(?![-\w])", text) or spelled[1] in text
        if name and used and not in_key:
            words = f"{template.label}.memoize.key leaves out the input {name!r}"
            path = (*template.path, "inputs", "parameters", index)
            fix = f"add {{{{inputs.parameters.{name}}}}} to the key (as part of a digest)"
            yield Issue(path, words, fix=fix)
    for name in sorted(set(re.findall(r"workflow\.parameters\.([-\w]+)", text))):
        if f"workflow.parameters.{name}" not in key and f"workflow.parameters['{name}']" not in key:
            words = f"{template.label} uses workflow.parameters.{name}, which its memo key leaves out"
            yield Issue(
                (*template.path, "memoize", "key"), words, fix="pass it as an input and add it to the key"
            )


@rule(
    "L310",
    "cached-artifact",
    "info",
    what="A memoized step with output artifacts.",
    why="A hit returns references only: when the stored object was deleted, the consumer fails, not the step.",
    source=_CACHE,
    scope="template",
    needs="memoize",
)
def cached_artifact(template: TemplateView) -> Iterator[Issue]:
    if "memoize" in template.data and template.outputs("artifacts"):
        words = f"{template.label} is memoized; a hit does not check that its artifacts still exist"
        yield Issue((*template.path, "memoize"), words, fix="keep artifacts longer than maxAge", key=True)


@rule(
    "L316",
    "memo-without-mutex",
    "info",
    what="A memoized step without a mutex.",
    why="Parallel runs all miss and all work. With a mutex the controller looks again once the lock is taken.",
    source="argo-workflows v4.1.2, workflow/controller/operator.go; issue 10109",
    scope="template",
    needs="memoize",
)
def memo_without_mutex(template: TemplateView) -> Iterator[Issue]:
    locks = (template.data.get("synchronization") or {}).get("mutexes")
    if "memoize" in template.data and not locks:
        words = f"{template.label} is memoized without a mutex: equal steps at the same time run each"
        fix = "add synchronization: {mutexes: [{name: ...}]} with the same key in its name"
        yield Issue((*template.path, "memoize"), words, fix=fix, key=True)


@rule(
    "L358",
    "memo-and-retry",
    "warning",
    what="A template with memoize and retryStrategy, called by a task that others wait for.",
    why="A hit makes a Retry node without attempts. What follows in the DAG hangs on the last attempt, so the DAG "
    "never sees it end: the workflow runs for ever.",
    source="seen on the real controller (4.1.2): all nodes Succeeded, the DAG around them Running",
    needs="memoize",
)
def memo_and_retry(workflow: WorkflowView) -> Iterator[Issue]:
    shared = (workflow.spec.get("templateDefaults") or {}).get("retryStrategy")
    both = {
        template.name: template
        for template in workflow.every_template()
        if "memoize" in template.data and (template.data.get("retryStrategy") or shared)
    }
    if not both:
        return
    told = set()
    for caller in workflow.every_template():
        calls = [call for call in caller.calls() if call.family == "tasks"]
        awaited = {name: call for call in calls for name in dependencies(call.data)}
        for call in calls:
            callee = both.get(call.data.get("template", ""))
            if callee is None or call.name not in awaited or callee.name in told:
                continue
            told.add(callee.name)
            waiting = awaited[call.name].label
            words = f"{callee.label} has memoize and retryStrategy, and {waiting} waits for {call.name}"
            fix = f"put memoize on a DAG whose only task calls {callee.name}, which keeps retryStrategy"
            yield Issue((*callee.path, "memoize"), words, fix=fix, key=True)


_OUTPUTS_OF = regex(r"(?:tasks|steps)(?:\.|\[['\"])([-\w]+)(?:['\"]\])?\.outputs")


@rule(
    "L409",
    "memo-list-in-one-map",
    "warning",
    what="A cached step that hands on a list, with all its results in one ConfigMap.",
    why="A ConfigMap holds 1 MiB. When it is full, a step that did its work ends in Error.",
    source="Kubernetes, ConfigMap: data must not exceed 1048576 bytes; argo-workflows issue 3587",
    needs="memoize",
)
def memo_list_in_one_map(workflow: WorkflowView) -> Iterator[Issue]:
    cached = {template.name: (template, name) for template, name in _caches(workflow) if "{{" not in name}
    told = set()
    for caller in workflow.every_template() if cached else ():
        calls = {call.name: call for call in caller.calls()}
        for call in calls.values():
            for name in _OUTPUTS_OF.findall(str(call.data.get("withParam") or "")):
                source = calls.get(name)
                found = cached.get(source.data.get("template", "")) if source else None
                if found is None or found[0].name in told:
                    continue
                template, cache = found
                told.add(template.name)
                words = (
                    f"{template.label} keeps the list that {call.label} loops over in the ConfigMap {cache!r}"
                )
                fix = (
                    "write the list to a volume or an artifact and hand on where it is, or spread the results: "
                    f"name: {cache}-{{{{=sprig.trunc(2, sprig.sha256sum(...))}}}} with what the key is made of"
                )
                yield Issue((*template.path, "memoize", "cache"), words, fix=fix, key=True)


def _caches(workflow: WorkflowView) -> Iterator[tuple[TemplateView, str]]:
    for template in workflow.every_template():
        name = ((_memo(template).get("cache") or {}).get("configMap") or {}).get("name", "")
        if name:
            yield template, name
