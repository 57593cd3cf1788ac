"""What reads a text: each language with seeds, one call, and the errors that it may answer with."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutate import text_of
from tests.fuzz.watch import Broken
from tiphys.argo import cron, quantity, selectors
from tiphys.argo import time as argo_time
from tiphys.argo.jsonpatch import PatchError
from tiphys.argo.parameters import check
from tiphys.argo.patch import apply_patch
from tiphys.argo.pools import POOLS, pools_of, pools_text
from tiphys.argo.reader import read_value
from tiphys.cli._common import assignments
from tiphys.compiler.emit import emit_all
from tiphys.engine.objects.jq import JqError, jq
from tiphys.engine.objects.jsonpath import JsonPathError, jsonpath
from tiphys.expr import durations, gotime, semver
from tiphys.expr.depends import parse_depends
from tiphys.expr.evaluate import ExprError, compile_expression, evaluate
from tiphys.expr.gjson import gjson
from tiphys.expr.gojson import marshal, unmarshal
from tiphys.expr.gotext import from_bytes
from tiphys.expr.govaluate import WhenError, evaluate_when, govaluate
from tiphys.expr.jsonpath import query
from tiphys.expr.regexp import regexp
from tiphys.expr.sprig import SPRIG
from tiphys.expr.tags import Layers, TagError, compile_plan, substitute
from tiphys.queue.kueue import kueue_objects
from tiphys.queue.rules import parse_rules
from tiphys.records.query import select
from tiphys.records.schema import FILE, opened
from tiphys.records.where import order_of, parsed
from tiphys.reuse.entry import damaged, entry_of

__all__ = ["LANGUAGES", "Target"]

TESTS = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Target:
    """What is attacked. ``make`` gives the input of a number, ``call`` takes it and returns, or raises one of
    ``allowed`` or a TiphysError; ``inputs`` are those of an ordinary test run, ``group`` the row of a table."""

    name: str
    group: str
    make: Callable[[Sequence[Any], Random], Any]
    call: Callable[[Any], object]
    seeds: Callable[[], Sequence[Any]]
    allowed: tuple[type[Exception], ...] = ()
    inputs: int = 1000


def _questions(*names: str) -> list[str]:
    """What the real programs were asked in other tests: one question a line, its text the last column."""
    found = []
    for name in names:
        lines = (TESTS / "expr" / "questions" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        found += [line.rpartition("\t")[2] for line in lines if line and not line.startswith("#")]
    return found


def _asked(path: str, key: str = "text") -> list[str]:
    return [each[key] for each in json.loads((TESTS / path).read_text(encoding="utf-8")) if key in each]


DOCUMENT: dict[str, Any] = {
    "a": [1, 2, {"b": "x", "c": None}], "s": "text", "n": 1.5, "yes": True, "d": {"e": {"f": [[]]}, "a.b": 1},
    "items": [{"name": "q", "v": 1}, {"name": "w", "v": 2}], "metadata": {"name": "m", "labels": {"a/b": "c"}},
}  # fmt: skip
NAMES: dict[str, Any] = {
    "inputs": {"parameters": {"x": "5", "y": "a", "v": "1.2.3"}}, "workflow": {"name": "w", "status": "Succeeded"},
    "steps": {"a": {"outputs": {"result": "1", "parameters": {"v": "7"}}}}, "item": {"a": 1}, "tasks": {},
    "lastRetry": {"exitCode": "1"}, "sprig": SPRIG, **DOCUMENT,
}  # fmt: skip


@functools.cache
def _environment() -> dict[str, Any]:
    asked: dict[str, Any] = json.loads((TESTS / "expr" / "questions" / "environment.json").read_text())
    return {**asked, **NAMES}


FLAT = {
    "inputs.parameters.x": "5", "inputs.parameters.y": "a {b}", "workflow.name": "w", "item": '{"a": 1}',
    "item.a": "1", "steps.a.outputs.result": "", "steps.b.outputs.parameters.v": None, "tasks.c.status": "Failed",
}  # fmt: skip
TAGS = (
    "a {{inputs.parameters.x}} b", "{{=inputs.parameters.y + 'q'}}", "{{=toJson(workflow)}}", "{{= '}}' }}",
    "{{item.a}}{{item}}", "{{{{x}}}}", "{{=sprig.upper(item) ?? 1}}", "{{steps.b.outputs.parameters.v}}",
    "{{workflow.parameters.json}}", '{"image": "{{=asInt(inputs.parameters.x) + 1}}"}', "{{retries}} {{pod.name}}",
)  # fmt: skip


def _expression(text: str) -> None:
    evaluate(text, _environment())


def _tags(text: str) -> None:
    compile_plan({"a": text, text: ["b", text]})
    substitute(text, Layers(FLAT))
    substitute(text, Layers(FLAT), strict=None, literal=True)


def _when(text: str) -> None:
    try:
        govaluate(text)
    finally:
        evaluate_when(text)


def _depends(text: str) -> None:
    found = parse_depends(text, lambda name: (name == "a", False))
    every = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
    found.holds({task: dict.fromkeys(every, len(task) % 2 == 0) for task in found.tasks})


def _cron(text: str) -> None:
    problem = cron.problem(text)
    cron.never(text)
    moment = 1.7e9
    for _ in range(3):
        if not problem and (following := cron.after(text, "", moment)) is not None:
            if following <= moment:
                raise Broken(f"the time after {moment} is {following}")
            moment = following


def _durations(text: str) -> None:
    for parse in (durations.parse_loose, durations.parse_named, durations.parse_human):
        try:
            parse(text)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
    seconds = durations.parse_go(text)
    if abs(seconds) < 1e6 and durations.parse_go(durations.format_go(seconds)) != seconds:
        raise Broken(f"{seconds} is written as {durations.format_go(seconds)}")
    durations.round_to_text(seconds)
    durations.format_short(int(seconds))


def _times(text: str) -> None:
    if argo_time.is_time(text):
        argo_time.rfc3339(argo_time.seconds(text))
    argo_time.moment("2026-11-27T01:02:03.4Z")
    gotime.format_layout(argo_time.moment("2026-11-27T01:02:03.4Z"), text)
    gotime.parse_layout(text, text)


def _labels(text: str) -> None:
    selectors.matches_labels(selectors.parse_labels(text), {"a": "b", "x": "1"})


def _condition(text: str) -> None:
    """What can be read can be asked for, in either order of the ways."""
    with contextlib.closing(opened(Path("/nowhere", FILE))) as db:
        select(db, parsed(text), order_of("-metrics.a"), 10)


def _fields(text: str) -> None:
    selectors.matches_node(selectors.parse_fields(text), {"id": "i", "name": "n", "phase": "Failed"})  # type: ignore[typeddict-item]


def _gojson(text: str) -> None:
    """What Go's reader takes Python's takes, too, and both say the same; what is written is read again."""
    value = unmarshal(text)
    if json.loads(text) != value and not _HALF.search(json.dumps(value)):
        raise Broken("two readers say two things")
    floats = unmarshal(text, floats=True)
    if unmarshal(marshal(floats), floats=True) != floats:
        raise Broken("it is not what was written")


_HALF = re.compile(r"\\ufffd")  # half of a surrogate pair is this to Go


def _patch(text: str) -> None:
    patch = read_value(text)
    for strategy in ("merge", "json", "strategic"):
        try:
            apply_patch({"apiVersion": "v1", "kind": "Pod", **POD}, patch, strategy)
        except PatchError:
            continue


POD: dict[str, Any] = {
    "metadata": {"name": "p", "labels": {"a": "b"}},
    "spec": {
        "containers": [{"name": "main", "env": [{"name": "A", "value": "1"}], "args": ["x"]}],
        "nodeName": "n",
    },
}
PATCHES = (
    '{"spec": {"containers": [{"name": "main", "image": "x"}]}}', '{"spec": {"nodeName": null}}',
    '{"spec": {"containers": [{"name": "main", "$patch": "delete"}]}}', '[{"op": "add", "path": "/a", "value": 1}]',
    '[{"op": "remove", "path": "/spec/containers/0"}, {"op": "test", "path": "/metadata/name", "value": "p"}]',
    '[{"op": "move", "from": "/spec/nodeName", "path": "/x~1y"}, {"op": "copy", "from": "", "path": "/c"}]',
    "spec:\n  containers:\n  - name: main\n    env:\n    - {name: A, $patch: replace}\n",
    '{"spec": {"$retainKeys": []}}',
    '{"metadata": {"labels": {"$patch": "replace", "c": "d"}}}', '{"$setElementOrder/containers": [{"name": "main"}]}',
    '{"spec": {"$deleteFromPrimitiveList/finalizers": ["a"], "tolerations": [{"key": "k"}]}}',
)  # fmt: skip

FLOW: dict[str, Any] = {
    "metadata": {
        "annotations": {
            "tiphys.dev/parameters": json.dumps(
                {
                    "n": {"type": "integer", "minimum": 1, "maximum": 9},
                    "f": {"type": "number", "exclusiveMinimum": 0},
                    "b": {"type": "boolean"},
                    "t": {"type": "string", "pattern": "^[a-z]+$", "enum": ["a", "b"]},
                    "j": {"type": "object"},
                    "l": {"type": "array"},
                }
            )
        }
    },
    "spec": {"arguments": {"parameters": [{"name": name} for name in "nfbtjle"]}},
}
VALUES = (
    "n=1", "f=2.5", "b=true", "t=a", "j={}", "l=[1]", "e=", "n=01", "f=1e400", 'j={"a": [1]}', "e={{x}}", "t=a=b",
)  # fmt: skip


def _value(text: str) -> None:
    check(FLOW, assignments(text.split("\n"), "-p"), complete=False)  # type: ignore[arg-type]


def _matched(text: str) -> None:
    pattern = regexp(text)
    for other in ("", "aab ab\nb1_-é🙂", "a" * 200 + "!", from_bytes(b"a\xc3 \xff")):
        pattern.replace(other, lambda match: match.expand("<$0$1${n}>"))
        pattern.split(other, -1)


def _entry(text: str) -> None:
    if entry_of(text, "cache", "key").broken is not None:
        raise damaged(text, "cache", "key")


ENTRIES = (
    '{"nodeID":"w-1","outputs":{"parameters":[{"name":"a","value":"1"}]},"creationTimestamp":"2026-11-27T01:02:03Z",'
    '"lastHitTimestamp":"2026-11-27T01:02:03Z"}',
    '{"nodeID":"w-2","outputs":{"artifacts":[{"name":"a","s3":{"key":"k"}}],"exitCode":"0"},"creationTimestamp":null}',
)  # fmt: skip


def _pools(text: str) -> None:
    found = pools_of({POOLS: text})
    if pools_of({POOLS: pools_text(found.values())}).keys() != found.keys():
        raise Broken(f"{text!r} is read as {found}")


def _rules(text: str) -> None:
    rules = parse_rules(text, Path("queue.toml"))
    rules.shares({}, 0.0).places([*rules.users, "x"], {})
    rules.check_class("x", 2**31)
    emit_all(kueue_objects(rules, Path("queue.toml"))[0])


POOL_TEXTS = (
    '{"limits/training-2":{"permits":2,"pool":"training","size":4},"limits/slots":{"permits":1,"pool":"s","size":1}}',
    '{"a/b": {"pool": "p", "permits": 3, "size": 3}, "a/c": null}',
)
RULES = (
    '[pools]\ntraining = 8\n[groups]\nvision = 3.5\n[users.anna]\ngroup = "vision"\nweight = 2\nhighest = 10\n',
    '[others]\nhighest = 0\n[users]\n"b o" = {highest = -1}\n',
    '[groups]\nv = 0.1\n[users.a]\naccount = "a@b"\nnamespace = "c"\n[classes]\nhigh = 10\n'
    '[cluster]\nnamespace = "ml"\ncpu = "1500m"\nmemory = "1.5Gi"\n"nvidia.com/gpu" = 8\n',
)


def _plain(
    name: str,
    seeds: Sequence[str] | Callable[[], Sequence[str]],
    call: Callable[[str], object],
    *allowed: type[Exception],
    inputs: int = 1000,
    group: str = "expressions",
) -> Target:
    return Target(
        name, group, text_of, call, seeds if callable(seeds) else lambda: seeds, allowed, inputs=inputs
    )


_SPRIG = ("sprig", "sprig_data", "sprig_numbers")
_EXPRESSIONS = ("builtins", "closures", "operators", "numbers")
_NO_JSON = json.JSONDecodeError
LANGUAGES = [
    _plain("expression", lambda: _questions(*_EXPRESSIONS), _expression, ExprError, inputs=4000),
    _plain("sprig", lambda: _questions(*_SPRIG), _expression, ExprError, inputs=4000),
    _plain("compile", lambda: _questions(*_EXPRESSIONS, *_SPRIG), compile_expression, ExprError, inputs=2000),
    _plain("regexp", lambda: _asked("expr/recorded/regexp.json"), _matched, ExprError, inputs=2000),
    _plain("tags", TAGS, _tags, TagError, inputs=3000),
    _plain("when", lambda: _questions("govaluate"), _when, WhenError, inputs=3000),
    _plain("depends", ("a && b", "a.Succeeded || (b.Failed && !c)", "!a", "a.AnySucceeded && b.AllFailed",
                       "(a || b) && c.Daemoned", "a-b.Skipped", "1.Omitted && not"), _depends, ExprError),
    _plain("jsonpath", lambda: _questions("jsonpath"), lambda text: query(DOCUMENT, text), ExprError, inputs=2000),
    _plain("kubectl jsonpath", ("{.items[*].name}", "{range .items[*]}{.name}{end}", "{..v}", ".a[0]", "{.a[0:2]}",
                                "{.items[?(@.v==1)].name}", "{'text'}", "{.a[-1]}", "{.metadata.labels.a\\/b}",
                                '{["a","s"]}', "{.d['a.b']}", "{.a[0,1]}{'\\n'}"),
           lambda text: jsonpath(DOCUMENT, text), JsonPathError, inputs=2000),
    _plain("jq", (".a[0]", ".items | map(.v) | add", ".. | numbers", ".items[] | select(.v>1) | .name", '"\\(.s)"',
                  "reduce .items[] as $i (0; .+$i.v)", "def f: 1; f", "{a:.a}", "to_entries", "[limit(3;.a[])]",
                  ".s | test(\"t\")", "@base64", "try error catch .", "[paths]", ".n|floor"),
           lambda text: jq(DOCUMENT, text), JqError, inputs=40),
    _plain("gjson", ("a.0", "items.#.v", "items.#(v>1).name", "d.e.f", "a.@reverse", "s|@ugly", "*", "items.#",
                     "d.a\\.b", "metadata.labels"), lambda text: gjson(DOCUMENT, text)),
    _plain("Go's JSON", lambda: [*_asked_json(), '{"a":[1,2.5e3,"x\\u00e9",null,true]}', '"\\ud83d\\ude00"', "-0.0"],
           _gojson, _NO_JSON, inputs=2000),
    _plain("cron", lambda: [*_asked("argo/cron.json"), "@daily", "@every 1h30m", "0 9 * * MON", "0 0 31 2 *"], _cron),
    _plain("duration", lambda: [*_asked("expr/recorded/durations.json"), "1 week", "2 days"], _durations, ValueError,
           inputs=2000),
    _plain("time", ("2006-01-02T15:04:05Z07:00", "2026-11-27T01:02:03.4Z", "Mon Jan _2 15:04:05 MST 2006", "Jan 2 06",
                    "03:04PM .000 -0700", "2026-11-27T01:02:03+14:00", "2026-366"), _times, ExprError),
    _plain("version", ("1.2.3", "v1.2.3-alpha.1+b", ">=1.2 <2 || 3.x", "~1.2.3 - 2.0", "^0.1", "!=1, *"),
           lambda text: (semver.parse_version(text), semver.compare_constraint(text, "1.2.3")), ExprError),
    _plain("constraint", (">=1.2 <2 || 3.x", "~1.2.3 - 2.0", "^0.1", "!=1, *", "=1.2.3-a"),
           lambda text: semver.compare_constraint(text, "1.2.3"), ExprError),
    _plain("labels", lambda: _asked("argo/selectors.json"), _labels, inputs=1500),
    _plain("condition", ("metrics.accuracy >= 0.9 and params.model == 'cnn'", "not (phase = 'Failed' or image)",
                         "labels.team in ('a', \"b\", 3)", "name like 'fashion-%' and duration > '5m'",
                         "started > '2026-11-01' or params.`a b` <> -1e9", "labels.x/y not in (1, 2)"), _condition),
    _plain("fields", ("phase=Failed", "name!=a,id=b", "inputs.parameters.x.value=\\=1", "displayName==a\\,b"), _fields),
    _plain("quantity", lambda: _asked("argo/quantity.json"), quantity.quantity, ValueError, inputs=1500),
    _plain("patch", PATCHES, _patch, inputs=1500, group="documents"),
    _plain("parameters", VALUES, _value, inputs=1500, group="documents"),
    _plain("cache entry", ENTRIES, _entry, group="documents"),
    _plain("pools", POOL_TEXTS, _pools, group="documents"),
    _plain("queue rules", RULES, _rules, group="documents"),
]  # fmt: skip


def _asked_json() -> list[str]:
    return _asked("expr/recorded/gojson_scan.json")
