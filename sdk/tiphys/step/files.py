"""Files as inputs and outputs of a step: a path as it is, a table as Parquet, an array as NumPy's ``.npy``.

Nothing but Python is used here, and of a library what the function's own annotations name: a script that travels in a
workflow takes this file along.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiphys.errors import RefusedError
from tiphys.reference import content_digest

__all__ = ["DIGEST", "outputs", "read"]

DIGEST = "_sha256"
"""What the name of the output that holds a file's digest ends with; no output of an author has such a name."""


def read(place: str, library: str, name: str, *, optional: bool = False) -> Any:
    """The file at ``place`` as the function takes it: a Path, or the table or array of ``library``. None for one that is
    not there and is ``optional``. Raises RefusedError (TIP240, TIP241)."""
    path = Path(place)
    if not path.exists():
        if optional:
            return None
        raise RefusedError(
            "TIP240", f"the input {name!r} was not given", cause=f"there is no {place}", fix="hand on a file"
        )
    if not library:
        return path
    try:
        return _value(path, library)
    except Exception as error:  # each library has errors of its own
        raise RefusedError(
            "TIP241",
            f"the input {name!r} cannot be read by {library}: {error}",
            cause="a table travels as Parquet, an array as .npy without pickled objects",
            fix=f"hand on what a step returned as a table or array, or write {name}: Path and read it yourself",
        ) from error


def outputs(values: Mapping[str, tuple[Any, str, bool]], folder: str) -> Iterator[tuple[str, str]]:
    """Put files into ``folder`` under their names; the names and texts of the outputs that hold their digests.

    ``values``: the value, its library, and whether it may be None, by the name of the output. Raises RefusedError
    (TIP242).
    """
    os.makedirs(folder, exist_ok=True)
    for name, (value, library, optional) in values.items():
        target = Path(folder, name)
        if value is None and optional:
            yield name + DIGEST, ""
            continue
        try:
            if library:
                _write(value, library, target)
            else:
                _place(value, target)
        except Exception as error:  # each library has errors of its own
            raise RefusedError(
                "TIP242",
                f"the output {name!r} cannot be written: {error}",
                cause=f"it is {_shown(value)}",
                fix="return what the annotation says; of a Path, one of a file or folder that the step has written",
            ) from error
        yield name + DIGEST, content_digest(target)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, os.PathLike) else f"a {type(value).__name__}"


def _place(value: Any, target: Path) -> None:
    """The file or folder at its place, by links where that is possible."""
    if not isinstance(value, os.PathLike):
        raise TypeError("it is no Path")
    source = os.path.realpath(value)
    if not os.path.isdir(source) and not os.path.isfile(source):
        raise FileNotFoundError("there is no such file or folder")
    if source == os.path.realpath(target):
        return
    if os.path.isdir(source):
        shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)
    else:
        _link(source, str(target))


def _link(source: str, target: str) -> None:
    source = os.path.realpath(source)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _value(path: Path, library: str) -> Any:
    if library == "numpy":
        import numpy

        return numpy.load(path, allow_pickle=False)
    if library == "pandas":
        import pandas

        return pandas.read_parquet(path)
    if library == "polars":
        import polars

        return polars.read_parquet(path)
    from pyarrow import parquet

    return parquet.read_table(path)


def _write(value: Any, library: str, target: Path) -> None:
    if library == "numpy":
        import numpy

        with target.open("wb") as stream:
            numpy.save(stream, value, allow_pickle=False)
    elif library == "pandas":
        value.to_parquet(target)
    elif library == "polars":
        value.write_parquet(target)
    else:
        from pyarrow import parquet

        parquet.write_table(value, target)
