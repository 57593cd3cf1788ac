"""``jqFilter`` outputs, with libjq (the package ``jq``).

Argo uses gojq, a rewrite of jq in Go. The results are the same (recorded from the real controller) but for this:
gojq computes with integers of any size, libjq with 64-bit floating point; gojq does not know ``input_filename``; an
object that the filter itself makes keeps its order in ``tojson``; and the words of errors are each one's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tiphys.expr import gojson

__all__ = ["JqError", "jq"]

_PROGRAM = Path(__file__).with_name("_jq.py")
_SECONDS = 10  # of processor time that a filter may take
_BYTES = 2 << 30  # of address space
_PATIENCE = 120.0  # seconds, where others want the processor, too


class JqError(ValueError):
    """The filter is wrong or does not fit."""


def jq(value: object, text: str) -> str:
    """The results as Argo joins them: strings raw, others as JSON, one a line, trimmed. Raises JqError, also for a
    filter that does not come to its end or wants all memory: the library cannot be interrupted, its process can."""
    command = [sys.executable, "-P", str(_PROGRAM), str(_SECONDS), str(_BYTES)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps([_sorted(value), text]),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JqError("the filter takes too long") from None
    if done.returncode:
        said = "".join(f" ({line})" for line in done.stderr.strip().splitlines()[-1:])
        raise JqError(f"the filter takes more than {_SECONDS} s of processor time, or too much memory{said}")
    results = json.loads(done.stdout)
    if isinstance(results, str):
        raise JqError(results)
    return "\n".join(each if isinstance(each, str) else gojson.marshal(each) for each in results).strip()


def _sorted(value: object) -> object:
    """Objects with their keys in order: gojq keeps no other."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
