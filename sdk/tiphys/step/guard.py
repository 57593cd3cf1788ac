"""May an earlier result stand in for a run? Asked by a small step before the cached one, and answered into its key.

Beside the References of a pipeline, on the same claim, is one small file for each key: what the last computed result
was (its generation, the outputs that are judged or that point to something, with their digests) and what the data was.
:func:`judge` says why that result may not be taken; then the generation is a new one, and the key with it, so that Argo
finds nothing under it and computes. :func:`record` runs after a computed step, in its cached template: a step that is
killed leaves no file, and a result without a file is never taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiphys.reference import (
    MANIFEST,
    STATES,
    Reference,
    contents,
    file_digest,
    pointed,
    resolve,
    verify,
    volumes_from_env,
)

__all__ = ["TOO_LONG", "judge", "main", "record"]

TOO_LONG = "(points to something, and is too long to be looked at)"
"""Stands for an output that may hold more references than a step can be told."""

_VERSION = 1


def judge(
    state: Mapping[str, object] | None,
    conditions: Sequence[Mapping[str, object]],
    values: Mapping[str, str],
    volumes: Mapping[str, str] | None = None,
) -> str:
    """Why the result that ``state`` describes may not be taken now; an empty string when it may."""
    if state is None:
        return "there is no earlier result"
    if state.get("version") != _VERSION or not isinstance(state.get("generation"), str):
        return "what is known of the earlier result cannot be read"
    outputs, before = _texts(state.get("outputs")), _texts(state.get("values"))
    for condition in conditions:
        if "output" in condition:
            problem = _metric(condition, outputs)
        else:
            name = str(condition["input"])
            problem = _data(condition, before.get(name), _measured(values.get(name, ""), volumes))
        if problem:
            return problem
    unseen = state.get("unseen")
    if unseen:
        return f"{unseen} of the earlier result {TOO_LONG[1:-1]}"
    told = state.get("references")
    for item in told if isinstance(told, list) else ():
        problem = verify(Reference(str(item[0]), str(item[1])), volumes)
        if problem:
            return problem
    return ""


def _metric(condition: Mapping[str, object], outputs: Mapping[str, str]) -> str:
    name, operator, bound = str(condition["output"]), str(condition["op"]), _number(condition["bound"])
    found = _number(outputs.get(name))
    if found is None or bound is None:
        return f"{name} of the earlier result is {outputs.get(name)!r}, not a number"
    met = {
        ">=": found >= bound,
        ">": found > bound,
        "<=": found <= bound,
        "<": found < bound,
        "==": found == bound,
    }[operator]
    return "" if met else f"{name} of the earlier result is {found:g}, not {operator} {bound:g}"


def _data(condition: Mapping[str, object], before: str | None, now: str) -> str:
    name = str(condition["input"])
    if before is None:
        return f"what {name} was is not known"
    if "grew" in condition or "by" in condition:
        old, new = _number(_of(before, "bytes")), _number(_of(now, "bytes"))
        if old is None or new is None:
            return f"{name} was {before!r} and is {now!r}: not numbers"
        factor, part = _number(condition.get("grew")), _number(condition.get("by"))
        if factor is not None and (new >= old * factor if old else new > 0):
            return f"{name} has grown from {old:g} to {new:g}, {factor:g} times or more"
        if part is not None and (abs(new - old) >= part * abs(old) if old else new != 0):
            return f"{name} has changed from {old:g} to {new:g}, {part:.3g} of it or more"
        return ""
    changed = _of(before, "digest") != _of(now, "digest")
    return f"{name} has changed" if changed else ""


def _measured(text: str, volumes: Mapping[str, str] | None) -> str:
    """An input as it is compared: a reference by its digest and its bytes, anything else by its text."""
    reference = Reference.maybe(text)
    if reference is None:
        return text
    digest, size = _manifest(reference, volumes)
    return json.dumps({"bytes": size, "digest": reference.digest or digest})


def _manifest(reference: Reference, volumes: Mapping[str, str] | None) -> tuple[str, int | None]:
    """The digest and the bytes of what a reference names, if it is there."""
    try:
        place = resolve(reference.uri, volumes)
        if place.is_file():  # a long value
            return file_digest(place), place.stat().st_size
        data = contents(place / MANIFEST)
        size = sum(int(entry["size"]) for entry in json.loads(data)["files"].values())
    except Exception:  # noqa: BLE001 - whatever it is, it is not there to be measured
        return "", None
    return "sha256:" + hashlib.sha256(data).hexdigest(), size


def _of(text: str, part: str) -> object:
    """One measure of a reference, or the text itself."""
    if text.startswith('{"bytes"'):
        return json.loads(text)[part]
    return text


def _number(value: object) -> float | None:
    try:
        return None if value is None else float(str(value))
    except ValueError:
        return None


def record(
    generation: str,
    values: Mapping[str, str],
    outputs: Mapping[str, str],
    volumes: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """What is to be known of a result that was just computed."""
    unseen = sorted(name for name, text in outputs.items() if text == TOO_LONG)
    found = {
        (reference.uri, reference.digest or _manifest(reference, volumes)[0])
        for text in outputs.values()
        for reference in pointed(text, volumes)
    }
    return {
        "version": _VERSION,
        "generation": generation,
        "values": {name: _measured(text, volumes) for name, text in values.items()},
        "outputs": {name: text for name, text in outputs.items() if _number(text) is not None},
        "references": sorted(map(list, found)),
        **({"unseen": ", ".join(unseen)} if unseen else {}),
    }


def _texts(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def _pairs(text: str) -> dict[str, str]:
    """``["a", 1, "b", 2]`` as a mapping: Argo's expressions would take the braces of an object for a tag's end."""
    items = json.loads(text or "[]")
    named = zip(items[::2], items[1::2], strict=True)
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in named}


def main(verb: str, environ: Mapping[str, str] = os.environ) -> None:
    """``guard`` or ``record``, with everything from the environment; outputs go to files like any step's."""
    key, values = environ["TIPHYS_INPUT_KEY"], _pairs(environ["TIPHYS_INPUT_VALUES"])
    volumes = volumes_from_env(environ)
    folder = resolve(f"pvc://{environ['TIPHYS_CLAIM']}/{STATES}", volumes)
    if verb == "record":
        base, _, generation = key.rpartition("-")
        state = record(generation, values, _pairs(environ["TIPHYS_INPUT_OUTPUTS"]), volumes)
        _write(folder / f"{base}.json", json.dumps(state, indent=1, sort_keys=True))
        return
    path = folder / f"{key}.json"
    state_now: Mapping[str, object] | None = None
    reason = ""
    try:
        state_now = json.loads(contents(path)) if path.exists() else None
        reason = judge(state_now, json.loads(environ["TIPHYS_INPUT_CONDITIONS"]), values, volumes)
    except Exception as error:  # noqa: BLE001 - a doubt about an earlier result is no reason to fail a step
        reason = f"the earlier result cannot be judged: {error}"
    generation = uuid.uuid4().hex[:12] if reason or not state_now else str(state_now["generation"])
    sys.stdout.write(f"computed anew: {reason}\n" if reason else "the earlier result may be taken\n")
    outputs = Path(environ["TIPHYS_OUTPUTS"])
    _write(outputs / "generation", generation)
    _write(outputs / "reason", reason)


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
