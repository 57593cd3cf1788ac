"""Secrets for a run on this machine, by what a command line may say of them: where the values are, never the values."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.paths import key_problem
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject

__all__ = ["given_secrets"]

_VARIABLE = "env:"
_WRITE = (
    "write NAME/KEY=FILE, NAME/KEY=env:VARIABLE, NAME=DIR (a file for each key) or NAME=FILE.env (KEY=value)"
)


def given_secrets(words: Iterable[str]) -> list[GivenObject]:
    """The Secrets that ``--secret`` gives: ``s3/key=FILE``, ``s3/key=env:VARIABLE``, ``s3=DIR``, ``s3=FILE.env``.

    Raises RefusedError TIP239.
    """
    found: dict[str, dict[str, bytes]] = {}
    for word in words:
        place, equals, source = word.partition("=")
        name, slash, key = place.partition("/")
        if not (equals and name and source) or (slash and not key):
            raise _refused(word, "it is not NAME/KEY=FILE")
        values = {key: _value(word, source)} if slash else _values(word, source)
        for each in values:
            if problem := key_problem(each):
                raise _refused(word, f"{each!r} is no key of a Secret: {problem}")
            if each in found.setdefault(name, {}):
                raise _refused(word, f"the key {each!r} is given twice")
        found[name].update(values)
    return [_secret(name, values) for name, values in found.items()]


def _value(word: str, source: str) -> bytes:
    if source.startswith(_VARIABLE):
        variable = source.removeprefix(_VARIABLE)
        value = os.environb.get(variable.encode())
        if value is None:
            raise _refused(word, f"the variable {variable} is not set")
        return value
    return _content(word, Path(source))


def _values(word: str, source: str) -> dict[str, bytes]:
    path = Path(source)
    if path.is_dir():
        # a mounted Secret has hidden folders beside links to what is in them
        files = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith(".."))
        return {each.name: _content(word, each) for each in files}
    if path.suffix == ".env" or path.name == ".env":
        return dict(_lines(word, _content(word, path)))
    raise _refused(word, "it does not say which key this is")


def _lines(word: str, content: bytes) -> Iterable[tuple[str, bytes]]:
    """``KEY=value`` lines, as ``kubectl create secret --from-env-file`` reads them."""
    for number, line in enumerate(content.splitlines(), 1):
        line = line.lstrip()
        if not line or line.startswith(b"#"):
            continue
        key, equals, value = line.partition(b"=")
        if not equals or not re.fullmatch(rb"[-._a-zA-Z0-9]+", key):
            raise _refused(word, f"line {number} of the file is not KEY=value")
        yield key.decode(), value


def _content(word: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(word, f"{path} cannot be read: {error.strerror}") from error


def _secret(name: str, values: dict[str, bytes]) -> GivenObject:
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def _refused(word: str, cause: str) -> RefusedError:
    return RefusedError("TIP239", f"--secret {word}", cause=cause, fix=_WRITE)
