"""Objects and patches of all kinds, made by chance: the questions of ``patch.json``."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["DOCUMENT", "patch_questions"]

Json = Any

# {field: shape}; a string is a word, a number a small number, [shape, key] a list
_META = {
    "name": "",
    "labels": {"a": "", "b": ""},
    "finalizers": ["", ""],
    "ownerReferences": [{"uid": "", "kind": ""}, "uid"],
}
_CONTAINER = {
    "name": "",
    "image": "",
    "args": ["", ""],
    "env": [{"name": "", "value": "", "valueFrom": {"fieldRef": {"fieldPath": ""}}}, "name"],
    "ports": [{"containerPort": 0, "name": ""}, "containerPort"],
    "volumeMounts": [{"mountPath": "", "name": ""}, "mountPath"],
    "resources": {"limits": {"cpu": "", "memory": ""}},
}
_VOLUME = {
    "name": "",
    "emptyDir": {"medium": ""},
    "configMap": {"name": "", "items": [{"key": "", "path": ""}, ""]},
}
_POD = {
    "containers": [_CONTAINER, "name"],
    "initContainers": [_CONTAINER, "name"],
    "volumes": [
        {
            "name": "",
            "emptyDir": {"medium": ""},
            "configMap": {"name": "", "items": [{"key": "", "path": ""}, ""]},
        },
        "name",
    ],
    "hostAliases": [{"ip": "", "hostnames": ["", ""]}, "ip"],
    "imagePullSecrets": [{"name": ""}, "name"],
    "tolerations": [{"key": "", "value": ""}, ""],
    "nodeSelector": {"a": "", "b": ""},
    "priority": 0,
}
_PARAMETERS = {"parameters": [{"name": "", "value": "", "default": ""}, "name"]}
SHAPES: dict[str, Json] = {
    "Service": {
        "metadata": _META,
        "spec": {
            "ports": [{"port": 0, "name": "", "targetPort": 0}, "port"],
            "selector": {"a": ""},
            "externalIPs": ["", ""],
        },
    },
    "Pod": {"metadata": _META, "spec": _POD},
    "PodSpec": _POD,
    "Deployment": {
        "metadata": _META,
        "spec": {
            "replicas": 0,
            "strategy": {"type": "", "rollingUpdate": {"maxSurge": 0}},
            "template": {"metadata": _META, "spec": _POD},
        },
    },
    "ServiceAccount": {"secrets": [{"name": "", "uid": ""}, "name"], "imagePullSecrets": [{"name": ""}, ""]},
    "ConfigMap": {"metadata": _META, "data": {"a": "", "b": "", "c": ""}},
    "Template": {
        "inputs": _PARAMETERS,
        "outputs": _PARAMETERS,
        "container": _CONTAINER,
        "sidecars": [_CONTAINER, "name"],
        "volumes": [{"name": "", "emptyDir": {"medium": ""}}, "name"],
        "tolerations": [{"key": "", "value": ""}, "key"],
        "hostAliases": [{"ip": "", "hostnames": ["", ""]}, "ip"],
        "retryStrategy": {"limit": "", "backoff": {"duration": ""}},
        "nodeSelector": {"a": "", "b": ""},
    },
}
DOCUMENT = {
    "a": {"b": [1, 2, {"c": "x"}], "~/": "odd", "n": None},
    "l": ["one", "two"],
    "o": {"x": {"y": 1.5}, "": True},
}  # what JSON patches change
_WORDS = ("one", "two", "three", "four")


class _Made:
    """Instances of a shape; ``odd``: how often something that only a patch may hold."""

    def __init__(self, dice: random.Random, odd: float, chance: float) -> None:
        self.dice, self.odd, self.chance = dice, odd, chance

    def value(self, shape: Json, key: str = "") -> Json:
        if self.odd and self.dice.random() < self.odd / 4:
            return self.dice.choice([None, None, "text", {}, [], 7])
        if isinstance(shape, dict):
            return self.item(shape)
        if isinstance(shape, list):
            return self.list(*shape)
        return self.dice.choice(_WORDS) if shape == "" else self.dice.choice([1, 2, 3])

    def item(self, shape: dict[str, Json]) -> dict[str, Json]:
        made = {}
        for name, inner in shape.items():
            if self.dice.random() < self.chance:
                made[name] = self.value(inner)
                if self.odd and isinstance(inner, list) and self.dice.random() < self.odd:
                    self.directives(made, name, inner)
        if self.odd and self.dice.random() < self.odd / 6:
            made["$patch"] = self.dice.choice(["replace", "replace", "delete", "merge"])
        if self.odd and made and self.dice.random() < self.odd / 10:
            made["$retainKeys"] = [*made, *(self.dice.sample(list(shape), 1))][
                self.dice.choice([0, 0, 0, 1]) :
            ]
        return made

    def directives(self, made: dict[str, Json], name: str, shape: Json) -> None:
        inner, key = shape
        if not isinstance(inner, dict):
            if self.dice.random() < 0.5:
                del made[name]
                made[f"$deleteFromPrimitiveList/{name}"] = self.dice.sample(_WORDS, 2)
            else:
                made[f"$setElementOrder/{name}"] = self.dice.sample(_WORDS, 4)
        elif key and self.dice.random() < 0.6:
            words = [1, 2, 3] if inner[key] == 0 else list(_WORDS)
            made[f"$setElementOrder/{name}"] = [{key: word} for word in self.dice.sample(words, len(words))]

    def list(self, inner: Json, key: str) -> list[Json]:
        count = self.dice.choice([0, 1, 2, 2, 3])
        if not isinstance(inner, dict):
            return self.dice.sample(_WORDS, count)
        names = [1, 2, 3] if key and inner[key] == 0 else list(_WORDS)
        found = []
        for name in self.dice.sample(names, count):
            item = self.item(inner)
            if key:
                item[key] = name
                if self.odd and self.dice.random() < self.odd / 2:
                    item = {key: name, "$patch": "delete"}
                if self.odd and self.dice.random() < self.odd / 8:
                    del item[key]
            found.append(item)
        if self.odd and self.dice.random() < self.odd / 5:
            found.insert(self.dice.randrange(len(found) + 1), {"$patch": "replace"})
        return found


def _strategic(dice: random.Random) -> Json:
    kind = dice.choice(list(SHAPES))
    odd = dice.choice([0.0, 0.1, 0.25])
    original = _Made(dice, 0, 0.6).item(SHAPES[kind])
    return {
        "ask": "strategic",
        "kind": kind,
        "original": original,
        "patch": _Made(dice, odd, 0.45).item(SHAPES[kind]),
    }


def _apply(dice: random.Random) -> Json:
    kind = dice.choice(["Service", "Pod", "Deployment", "ServiceAccount", "ConfigMap"])
    one, two, three = (_Made(dice, 0, 0.55).item(SHAPES[kind]) for _ in range(3))
    return {"ask": "apply", "kind": kind, "original": one, "text": json.dumps(two), "patch": three}


def _json(dice: random.Random) -> Json:
    paths = [
        "/a", "/a/b", "/a/b/0", "/a/b/1", "/a/b/2", "/a/b/2/c", "/a/b/-", "/a/b/3", "/a/b/4", "/l/-1", "/l/-2", "/l/-3",
        "/l/-4", "/l/7", "/l/2", "/l/x", "/l/01", "/l/+1", "/l/", "/a/~0~1", "/a/~1~0", "/a/n", "/a/n/x", "/o/x/y",
        "/o/x/y/z", "/o/", "/new", "/new/deep", "/o/new", "", "/", "a", "a/l", "/l", "/o", "/l/0/x", "/a/b/-1/c",
    ]  # fmt: skip
    values = [
        1,
        1.0,
        1.5,
        "one",
        None,
        True,
        [1, 2, {"c": "x"}],
        {"c": "x"},
        {"y": 1.5},
        ["one", "two"],
        "",
        DOCUMENT,
    ]
    operations = []
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        verb = dice.choice(["add", "remove", "replace", "move", "copy", "test", "test"])
        each: Json = {"op": verb, "path": dice.choice(paths)}
        if verb in ("add", "replace", "test"):
            each["value"] = dice.choice(values)
        if verb in ("move", "copy"):
            each["from"] = dice.choice(paths)
        if dice.random() < 0.02:
            each["op"] = dice.choice(["Add", "merge", 1, ""])
        if dice.random() < 0.02:
            each.pop(dice.choice(["op", "path"]))
        operations.append(each)
    return {"ask": "json", "original": DOCUMENT, "patch": operations}


def _merge(dice: random.Random) -> Json:
    def some(depth: int) -> Json:
        match dice.randrange(6 if depth else 3):
            case 0:
                return None
            case 1:
                return dice.choice(["x", "y", 1, True, 2.5])
            case 2:
                return dice.choice(_WORDS)
            case 3:
                return [some(depth - 1) for _ in range(dice.randrange(3))]
        return {name: some(depth - 1) for name in dice.sample("abcd", dice.randrange(1, 4))}

    def item() -> Json:
        return {name: some(3) for name in dice.sample("abcd", 3)}

    return {"ask": "merge", "original": item(), "patch": item()}


def _named() -> list[Json]:
    """What chance does not find."""
    ports = {"spec": {"ports": [{"port": 1}, {"port": 2}]}}
    order = "$setElementOrder/ports"
    pairs: list[tuple[Json, Json]] = [
        (ports, {"spec": {order: [{"port": 2}, {"port": 1}]}}),
        (ports, {"spec": {order: []}}),
        (ports, {"spec": {order: [], "ports": [{"port": 3}]}}),
        ({"spec": {}}, {"spec": {order: [{"port": 1}]}}),
        ({"spec": {}}, {"spec": {order: [{"port": 1}], "ports": [{"port": 1}]}}),
        ({"spec": {"ports": []}}, {"spec": {order: [{"port": 1}], "ports": []}}),
        ({"metadata": {}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        ({"metadata": {"finalizers": "a"}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        (
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": None}},
        ),
        ({"metadata": None}, {"metadata": {"name": "x"}}),
        (ports, {"spec": None}),
    ]
    return [{"ask": "strategic", "kind": "Service", "original": one, "patch": two} for one, two in pairs]


def patch_questions(dice: random.Random) -> list[Json]:
    """Some hundreds."""
    counts = ((_strategic, 220), (_apply, 110), (_json, 220), (_merge, 80))
    return [*_named(), *(make(dice) for make, count in counts for _ in range(count))]
