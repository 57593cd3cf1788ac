"""A pipeline's folder, executed: its key, what its function gives in Python, and what its step gives.

Each is worked out in a process of its own, forked from this one, where all is imported that is not the author's.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tiphys import Cache, DefinitionError, Pipeline, component
from tiphys.dsl.source.embed import script_source

__all__ = ["HEAD", "TAIL", "Executed", "executed", "pipeline"]

HEAD = "from tiphys import Cache, Pipeline, component\n"
STEP = "@component(cache=Cache.by_content()){1}\ndef answer() -> str:\n    return repr({0})\n"
TAIL = '\nwith Pipeline("p") as pipeline:\n    answer()\n'


class Executed(NamedTuple):
    """``key``: of the cached step; empty when ``refused``. ``python``, ``step``: what each gives, or its error."""

    key: str
    refused: str
    python: str
    step: str


def pipeline(body: str, what: str) -> str:
    """A pipeline's file: ``body``, and a cached component ``answer`` that gives ``what``."""
    return HEAD + body + "\n\n" + STEP.format(what, "") + TAIL


def executed(files: Mapping[str, str]) -> Executed:
    """Write ``files`` to a folder that is the working directory, too, and execute its ``p.py``."""
    _warm()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        key, refused = json.loads(_forked(folder, _key))
        return Executed(key, refused, _forked(folder, _python), _forked(folder, _step))


@component(cache=Cache.by_content())
def _nothing() -> str:
    return ""


def _warm() -> None:
    with Pipeline("warm") as warm:
        _nothing()
    warm.to_dict()
    script_source(_nothing.function, _nothing.signature, _nothing.site)


def _key(_folder: str) -> str:
    module = importlib.import_module("p")
    try:
        templates = module.pipeline.to_dict()["spec"]["templates"]
    except DefinitionError as error:
        return json.dumps(["", f"{error.code} {error}"])
    return json.dumps([str([t["memoize"]["key"] for t in templates if "memoize" in t]), ""])


def _python(_folder: str) -> str:
    return str(importlib.import_module("p").answer.function())


def _step(folder: str) -> str:
    """The script that travels, with nothing imported of the author's before."""
    component = importlib.import_module("p").answer
    try:
        script = script_source(component.function, component.signature, component.site)
    except DefinitionError as error:
        return f"{error.code} {error}"
    outputs = tempfile.mkdtemp(dir=folder)
    return _forked(folder, lambda _: _run(script, outputs), fresh=True)


def _run(script: str, outputs: str) -> str:
    os.environ["TIPHYS_OUTPUTS"] = outputs
    exec(compile(script, "<step>", "exec"), {"__name__": "__main__"})
    return Path(outputs, "result").read_text()


def _forked(folder: str, work: Callable[[str], str], *, fresh: bool = False) -> str:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "w") as pipe:
            pipe.write(_answer(folder, work, fresh))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found


def _answer(folder: str, work: Callable[[str], str], fresh: bool) -> str:
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.argv = ["p.py"]
    sys.path.insert(0, folder)
    for name, module in list(sys.modules.items()):
        if fresh and (getattr(module, "__file__", None) or "").startswith(folder):
            del sys.modules[name]
    random.seed(0)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return work(folder)
        except BaseException as error:  # noqa: BLE001 - whatever a program of an attacker does
            return json.dumps([type(error).__name__, str(error)])
