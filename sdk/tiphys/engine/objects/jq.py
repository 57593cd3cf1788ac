"""``jqFilter`` outputs, with libjq (the package ``jq``).

Argo uses gojq, a rewrite of jq in Go. The results are the same (recorded from the real controller) but for this:
gojq computes with integers of any size, libjq with 64-bit floating point; gojq does not know ``input_filename``; an
object that the filter itself makes keeps its order in ``tojson``; and the words of errors are each one's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.expr import gojson

__all__ = ["JqError", "jq"]


class JqError(ValueError):
    """The filter is wrong or does not fit."""


def jq(value: object, text: str) -> str:
    """The results as Argo joins them: strings raw, others as JSON, one a line, trimmed. Raises JqError."""
    import jq as libjq  # few runs need it

    try:
        results = libjq.compile(text).input_value(_sorted(value)).all()
    except ValueError as error:
        raise JqError(str(error)) from error
    return "\n".join(each if isinstance(each, str) else gojson.marshal(each) for each in results).strip()


def _sorted(value: object) -> object:
    """Objects with their keys in order: gojq keeps no other."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
