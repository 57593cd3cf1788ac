"""What runs in a task in words of ours, where that is the same: a container, an approval."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tiphys.dsl.names import suggest
from tiphys.dsl.types import kebab
from tiphys.importing.argo_graph import text_of_value
from tiphys.importing.argo_python import Called
from tiphys.importing.json_parts import at, items_of
from tiphys.importing.python_text import call, value
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import Json, JsonObject

__all__ = ["Leaf", "leaf"]

_CONTAINER = {"name", "container", "inputs", "outputs", "retryStrategy", "timeout", "synchronization"}
_POLICIES = {"OnFailure": "failure", "OnError": "error", "Always": "always"}
_INPUT = re.compile(r"\{\{\s*inputs\.parameters\.([\w-]+)\s*\}\}\Z")
_POD = (
    "its pod is as ours are (no privileges, no token, no more than 2 CPUs and 2Gi unless resources= says so)"
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A template in Python."""

    text: str
    called: Called
    words: set[str]
    changed: list[str] = field(default_factory=list)


def leaf(template: JsonObject, variable: str, mentioned: str) -> Leaf:
    """The template in words of ours; ``mentioned``: the text of all that calls templates. Raises CannotSay."""
    said = {key for key, each in template.items() if each not in ({}, [], "", None)}
    name = str(template.get("name"))
    if suggest(name) != name or len(name) > 63:
        raise CannotSay("its name is no name of ours (lower-case letters, digits and dashes)")
    if "suspend" in template:
        return _approval(template, said, name, mentioned)
    if "container" not in said:
        kinds = ("script", "resource", "http", "containerSet", "data", "plugin")
        kind = next((each for each in kinds if each in template), "body")
        raise CannotSay(f"its {kind} is in Argo's words")
    if other := said - _CONTAINER:
        raise CannotSay(f"it has {', '.join(sorted(other))}")
    return _container(template, variable, name)


def _approval(template: JsonObject, said: set[str], name: str, mentioned: str) -> Leaf:
    suspend = template["suspend"] or {}
    wait = suspend.get("duration") if isinstance(suspend, dict) else None
    if said - {"name", "suspend"} or (isinstance(suspend, dict) and set(suspend) - {"duration"}):
        raise CannotSay("it has more than a time to wait")
    if wait is not None and not re.fullmatch(r"(\d+(ms|s|m|h))+", str(wait)):
        raise CannotSay(f"its time, {wait!r}, is no duration with a unit")
    if not re.search(rf"'template': '{re.escape(name)}'", mentioned):
        raise CannotSay("no task of a graph calls it")
    fixed = [f"name={value(name)}", *([f"after={value(str(wait))}"] if wait is not None else [])]
    return Leaf("", Called("approve", {}, frozenset(), name, tuple(fixed)), {"approve"})


def _container(template: JsonObject, variable: str, name: str) -> Leaf:
    box = template["container"]
    if not isinstance(box, dict):
        raise CannotSay("its container is no mapping")
    has = {key for key, each in box.items() if each not in ({}, [], "", None)}
    if other := has - {"image", "command", "args", "env", "resources"}:
        raise CannotSay(f"its container has {', '.join(sorted(other))}")
    image = str(box.get("image"))
    if "command" not in has or "{{" in image:
        raise CannotSay(
            "its command is the image's own" if "command" not in has else "its image is a parameter"
        )
    inputs = _inputs(template.get("inputs"))
    words = {"container"}
    command = [
        _word(text_of_value(each), words) for key in ("command", "args") for each in items_of(box.get(key))
    ]
    outputs = _outputs(template.get("outputs"))
    parts = [value(image), "[" + ", ".join(command) + "]"]
    if inputs:
        words.add("Any")
        parts.append("inputs={" + ", ".join(f"{value(each)}: Any" for each in inputs) + "}")
    if outputs:
        words.add("Any")
        rows = (f"{value(each)}: (Any, {value(path)})" for each, path in outputs.items())
        parts.append("outputs={" + ", ".join(rows) + "}")
    parts.append(f"name={value(name)}")
    env = {}
    for each in items_of(box.get("env")):
        if not isinstance(each, dict) or set(each) != {"name", "value"} or "{{" in str(each):
            raise CannotSay("its environment is more than texts")
        if "$(" in str(each["value"]) or each["name"] in inputs:
            raise CannotSay("its environment names itself")
        env[str(each["name"])] = text_of_value(each["value"])
    if env:
        parts.append(f"env={value({**env})}")
    parts += [*_resources(box.get("resources"), words), *_again(template, words)]
    parts.append("read_only_root=False")
    called = Called(variable, {each: each.replace("-", "_") for each in inputs}, frozenset(outputs), name)
    return Leaf(call("container", parts, "", f"{variable} = "), called, words, [_POD])


def _word(text: str, words: set[str]) -> str:
    match = _INPUT.match(text)
    if match:
        words.add("ContainerStep")
        return f"ContainerStep.input({value(match[1])})"
    if "{{" in text:
        raise CannotSay(
            "its command takes values inside of other text; container(…) has them in the environment"
        )
    return value(text)


def _inputs(place: Json) -> list[str]:
    found = []
    if isinstance(place, dict) and {key for key, each in place.items() if each} - {"parameters"}:
        raise CannotSay("its inputs hold artifacts")
    for each in items_of(place.get("parameters")) if isinstance(place, dict) else []:
        if not isinstance(each, dict) or set(each) != {"name"}:
            raise CannotSay("an input has a default or a description, which an input of container(…) has not")
        found.append(_named(str(each["name"])))
    return found


def _outputs(place: Json) -> dict[str, str]:
    found = {}
    if isinstance(place, dict) and {key for key, each in place.items() if each} - {"parameters"}:
        raise CannotSay("its outputs hold artifacts")
    for each in items_of(place.get("parameters")) if isinstance(place, dict) else []:
        source = each.get("valueFrom") if isinstance(each, dict) else None
        if not isinstance(each, dict) or set(each) != {"name", "valueFrom"} or not isinstance(source, dict):
            raise CannotSay("an output is more than the text of a file")
        path = str(source.get("path"))
        if set(source) != {"path"} or not re.fullmatch(r"(/[^/{}$]+)+", path):
            raise CannotSay("an output is more than the text of a file")
        found[_named(str(each["name"]))] = path
    return found


def _named(name: str) -> str:
    if kebab(name.replace("-", "_")) != name or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise CannotSay(f"{name!r} is no name that Python spells")
    return name


def _resources(given: Json, words: set[str]) -> list[str]:
    if not given:
        return []
    requests, limits = at(given, "requests"), at(given, "limits")
    if set(requests) != {"cpu", "memory"} or set(limits) - {"cpu", "memory"} or "{{" in str(given):
        raise CannotSay("its resources are not requests of cpu and memory")
    parts = [f"{key}={value(text_of_value(each))}" for key, each in requests.items()]
    parts += [f"{key}_limit={value(text_of_value(each))}" for key, each in limits.items()]
    words.add("Resources")
    return [f"resources=Resources({', '.join(parts)})"]


def _again(template: JsonObject, words: set[str]) -> list[str]:
    """The time it has, its attempts, its locks."""
    parts = []
    retry = template.get("retryStrategy")
    if isinstance(retry, dict) and retry:
        limit, policy = str(retry.get("limit")), retry.get("retryPolicy", "OnFailure")
        if (
            set(retry) - {"limit", "retryPolicy"}
            or not re.fullmatch(r"[1-9]\d*", limit)
            or policy not in _POLICIES
        ):
            raise CannotSay("its retryStrategy is more than a number of attempts")
        words.add("Retry")
        on = "" if policy == "OnFailure" else f", on={value(_POLICIES[str(policy)])}"
        parts.append(f"retry=Retry({limit}{on})")
    if template.get("timeout"):
        if not re.fullmatch(r"(\d+(s|m|h))+", str(template["timeout"])):
            raise CannotSay("its timeout is no duration with a unit")
        parts.append(f"timeout={value(str(template['timeout']))}")
    locks = template.get("synchronization")
    if isinstance(locks, dict) and locks:
        mutexes = items_of(locks.get("mutexes"))
        if set(locks) != {"mutexes"} or not all(isinstance(m, dict) and set(m) == {"name"} for m in mutexes):
            raise CannotSay("its locks are more than mutexes of this namespace")
        names = [str(each["name"]) for each in mutexes if isinstance(each, dict)]
        if any(suggest(each) != each for each in names):
            raise CannotSay("a mutex has a name that is none of ours")
        words.add("Mutex")
        parts.append("locks=[" + ", ".join(f"Mutex({value(each)})" for each in names) + "]")
    return parts
