"""What the journal of a run does not hold: the values of its Secrets.

Of a Secret that was given in a file the journal has the name, the file and a digest by which it is known again; it is
read from there when the run goes on. One that is in no file (a program gave it, or a step made it) lies in
``secrets.json`` beside the journal, which is its owner's alone and ends with the run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from tiphys.errors import RefusedError, StoreError, TiphysError
from tiphys.reference import contents
from tiphys.store import write_json

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.argo.types import GivenObject
    from tiphys.jsontypes import JsonObject

    T = TypeVar("T", bound=Mapping[str, object])

__all__ = ["SECRET", "forget", "hollow", "in_files", "keep", "made", "name_of", "note_made", "revealed"]

SECRET = "Secret"
_MARK = "withheld"  # what a Secret has in the journal instead of its values
_FILE = "secrets.json"
_COST = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # of a digest: a short value cannot be found by trying


def name_of(item: Mapping[str, object]) -> str:
    """The name of an object."""
    return str((cast("Mapping[str, object]", item.get("metadata") or {})).get("name", ""))


def hollow(item: T, file: str = "") -> T:
    """An object as the journal holds it: of a Secret only its name, where it is, and how it is known again."""
    if item.get("kind") != SECRET or _MARK in item:
        return item
    mark: dict[str, str] = {}
    if file:
        salt = secrets.token_hex(16)
        mark = {"file": file, "salt": salt, "digest": _digest(item, salt)}
    name = name_of(item)
    left = {"apiVersion": "v1", "kind": SECRET, "metadata": {"name": name}, _MARK: mark}
    return cast("T", left)


def in_files(files: Iterable[Path | str]) -> dict[str, tuple[GivenObject, str]]:
    """The Secrets in files of YAML, each with its file. Raises RefusedError."""
    from tiphys.argo.reader import read_file  # few runs need it

    found: dict[str, tuple[GivenObject, str]] = {}
    for file in files:
        path = Path(file).absolute()
        for document in read_file(path):
            if isinstance(document.data, dict) and document.kind == SECRET:
                found[name_of(document.data)] = (cast("GivenObject", document.data), str(path))
    return found


def revealed(
    run: str,
    folder: Path,
    context: Iterable[GivenObject],
    anew: Sequence[Path | str] = (),
    *,
    partly: bool = False,
) -> tuple[list[GivenObject], dict[str, str]]:
    """The objects of a run with the Secrets themselves, and the files of those that the files ``anew`` have, which
    count before those that the run began with. ``partly``: what cannot be had is left out.

    Raises
    ------
    RefusedError
        TIP233: one is gone, or is another.
    """
    given = in_files(anew)
    found: list[GivenObject] = []
    origins: dict[str, str] = {}
    for item in context:
        mark = cast("dict[str, str] | None", item.get(_MARK))
        name = name_of(item)
        if mark is None:
            found.append(item)
        elif name in given:
            own, origins[name] = given[name]
            found.append(own)
        else:
            try:
                found.append(_own(run, folder, name, mark))
            except TiphysError:
                if not partly:
                    raise
    return found, origins


def keep(folder: Path, context: Iterable[GivenObject], origins: Mapping[str, str]) -> None:
    """Keep the Secrets that are in no file, for as long as the run goes on. Raises StoreError."""
    own = {name_of(item): item for item in context if item.get("kind") == SECRET and _MARK not in item}
    _put(folder, "given", {name: item for name, item in own.items() if name not in origins})


def note_made(folder: Path, changed: Mapping[str, Mapping[str, object] | None]) -> None:
    """Keep Secrets that steps made; None for one that was deleted. Raises StoreError."""
    _put(folder, "made", changed)


def made(folder: Path, run: str) -> Callable[[KubeObject], KubeObject]:
    """What gives an object of the journal back as it was. Raises RefusedError TIP233."""
    kept: list[dict[str, JsonObject]] = []

    def whole(item: KubeObject) -> KubeObject:
        if item.get("kind") != SECRET or _MARK not in item:
            return item
        if not kept:
            kept.append(_kept(folder).get("made") or {})
        name = name_of(item)
        if name not in kept[0]:
            raise RefusedError(
                "TIP233",
                f"the Secret {name!r}, which a step of {run!r} made, is not kept beyond its end",
                where=str(folder),
                fix=f"run it from the beginning: tiphys resubmit {run}",
            )
        return cast("KubeObject", kept[0][name])

    return whole


def forget(folder: Path) -> None:
    """At the end of the run."""
    (folder / _FILE).unlink(missing_ok=True)


# -- inside ------------------------------------------------------------------------------------------------------


def _own(run: str, folder: Path, name: str, mark: Mapping[str, str]) -> GivenObject:
    """A Secret that the run began with. Raises RefusedError TIP233."""
    file = mark.get("file", "")
    if not file:
        kept = (_kept(folder).get("given") or {}).get(name)
        if kept is not None:
            return cast("GivenObject", kept)
        raise _gone(
            run,
            name,
            "",
            "it was given by a program or made by a step, and kept only until the run had ended",
        )
    try:
        found = in_files([file]).get(name)
    except (TiphysError, OSError) as error:
        why = error.message if isinstance(error, TiphysError) else str(error)
        raise _gone(run, name, file, why) from error
    if found is None:
        raise _gone(run, name, file, "the file does not have it any more")
    if not hmac.compare_digest(_digest(found[0], mark.get("salt", "")), mark.get("digest", "")):
        raise _gone(run, name, file, "its values are not those that the run began with")
    return found[0]


def _gone(run: str, name: str, file: str, why: str) -> RefusedError:
    return RefusedError(
        "TIP233",
        f"the Secret {name!r} of the run {run!r} cannot be had again",
        where=file,
        cause=f"{why}; a journal does not hold the values of Secrets",
        fix="give a file that has it, the values that the run shall go on with: --with FILE",
    )


def _digest(item: Mapping[str, object], salt: str) -> str:
    data = cast("Mapping[str, object]", item.get("data") or {})
    plain = cast("Mapping[str, object]", item.get("stringData") or {})
    values = {key: str(value) for key, value in data.items()}
    values |= {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
    text = json.dumps(values, sort_keys=True).encode()
    return hashlib.scrypt(text, salt=salt.encode(), **_COST).hex()


def _kept(folder: Path) -> dict[str, dict[str, JsonObject]]:
    path = folder / _FILE
    try:
        found = json.loads(contents(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError("TIP451", f"{_FILE} is damaged: {error}", where=str(path)) from error
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise StoreError("TIP451", f"{_FILE} is damaged", where=str(path), fix="start the run anew")
    return found


def _put(folder: Path, section: str, changed: Mapping[str, Mapping[str, object] | None]) -> None:
    if not changed:
        return
    kept = _kept(folder)
    items = {**kept.get(section, {}), **changed}
    kept[section] = {name: cast("JsonObject", item) for name, item in items.items() if item is not None}
    write_json(folder / _FILE, kept, private=True)
