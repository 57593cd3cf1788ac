"""Why steps failed and what to do, a line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord

__all__ = ["as_json", "lines"]

_MOST = 20  # steps that are told one by one


def lines(record: RunRecord) -> list[str]:
    """``train: oom, permanent: main: OOMKilled (exit code 137) → give it more memory: …``"""
    found = record.causes()
    told = [f"  {plain(name)}: {plain(cause.line())} → {cause.advice}" for name, cause in found[:_MOST]]
    return told + ([f"  and {len(found) - _MOST} more"] if len(found) > _MOST else [])


def as_json(record: RunRecord) -> list[dict[str, object]]:
    return [{"step": name, **cause.json()} for name, cause in record.causes()]
