"""Files as inputs and outputs of a step: a path as it is, a table as Parquet, an array as NumPy's ``.npy``.

A script that travels in a workflow takes the functions ``place``, ``read_table`` and ``write_table`` along: they use
nothing but Python, and of a library what the author's own annotations name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiphys.errors import RefusedError
from tiphys.reference import content_digest

__all__ = ["DIGEST", "INPUTS", "NO_FILE", "outputs", "place", "read", "read_table", "write_table"]

DIGEST = "_sha256"
"""What the name of the output that holds a file's digest ends with; no output of an author has such a name."""

INPUTS = "/tmp/tiphys/inputs"
"""Where a step finds its input files."""

NO_FILE = "none"
"""The digest of an optional file that is not there."""


def read(path: str, library: str, name: str, *, optional: bool = False) -> Any:
    """The file as the function takes it: a Path, or the table or array of ``library``. None for one that is not there
    and is ``optional``. Raises RefusedError (TIP240, TIP241)."""
    if not os.path.exists(path):
        if optional:
            return None
        raise RefusedError(
            "TIP240", f"the input {name!r} was not given", cause=f"there is no {path}", fix="hand on a file"
        )
    if not library:
        return Path(path)
    try:
        return read_table(path, library)
    except Exception as error:
        raise RefusedError(
            "TIP241",
            f"the input {name!r} cannot be read by {library}: {error}",
            cause="a table travels as Parquet, an array as .npy without pickled objects",
            fix=f"hand on what a step returned as a table or array, or write {name}: Path and read it yourself",
        ) from error


def outputs(values: Mapping[str, tuple[Any, str, bool]], folder: str) -> dict[str, str]:
    """Put files into ``folder`` under their names; the names and texts of the outputs that hold their digests.

    ``values``: the value, its library, and whether it may be None, by the name of the output. Raises RefusedError
    (TIP242).
    """
    os.makedirs(folder, exist_ok=True)
    digests = {}
    for name, (value, library, optional) in values.items():
        digests[name + DIGEST] = NO_FILE
        if value is None and optional:
            continue
        target = os.path.join(folder, name)
        try:
            if library:
                write_table(value, target, library)
            else:
                place(value, target)
        except Exception as error:
            raise RefusedError(
                "TIP242",
                f"the output {name!r} cannot be written: {error}",
                cause=f"it is {value if isinstance(value, os.PathLike) else f'a {type(value).__name__}'}",
                fix="return what the annotation says; of a Path, one of a file or folder that the step has written",
            ) from error
        digests[name + DIGEST] = content_digest(target)
    return digests


def place(path: Any, target: str) -> None:
    """Put a file or folder at ``target``, by links where that is possible; what a link leads to counts. Raises
    TypeError, OSError."""
    if not isinstance(path, os.PathLike):
        raise TypeError(f"a Path was to be returned, and it is {type(path).__name__}")
    source = os.path.realpath(path)
    if os.path.isdir(source):
        if source != os.path.realpath(target):
            shutil.copytree(source, target, copy_function=place_file, dirs_exist_ok=True)
    elif os.path.isfile(source):
        if source != os.path.realpath(target):
            place_file(source, target)
    else:
        raise FileNotFoundError(f"there is no file or folder {os.fspath(path)}")


def place_file(source: str, target: str) -> None:
    """A second name of the file, or a copy on another file system."""
    source = os.path.realpath(source)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_table(path: str, library: str) -> Any:
    """A table or an array from its file."""
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


def write_table(value: Any, target: str, library: str) -> None:
    """A table or an array as a file."""
    if library == "numpy":
        import numpy

        with open(target, "wb") as stream:
            numpy.save(stream, value, allow_pickle=False)
    elif library == "pandas":
        value.to_parquet(target)
    elif library == "polars":
        value.write_parquet(target)
    else:
        from pyarrow import parquet

        parquet.write_table(value, target)
