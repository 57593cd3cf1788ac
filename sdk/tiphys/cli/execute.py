"""Running something here with live progress, and what is printed at its end: `run`, `retry` and `resubmit`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.cli._common import Style, print_json

if TYPE_CHECKING:
    from tiphys.cli.progress import LineProgress, TableProgress
    from tiphys.cli.times import Times
    from tiphys.engine import RunOptions, RunResult
    from tiphys.records.record import RunRecord

__all__ = ["run_shown", "shown"]


def run_shown(
    start: Callable[[RunOptions], RunResult], settings: RunOptions, *, logs: bool, as_json: bool
) -> int:
    """Call ``start`` with ``settings`` that show its progress, print the end, and return the exit code."""
    result, times = shown(start, settings, logs=logs)
    if as_json:
        print_json(_with_causes(result))
    else:
        _report(result, times)
    return int(result.exit_code)


def shown(
    start: Callable[[RunOptions], RunResult], settings: RunOptions, *, logs: bool
) -> tuple[RunResult, Times]:
    """Call ``start`` with ``settings`` that show its progress; its result, and the times of its steps."""
    from tiphys.cli.times import Times

    progress = _progress(logs)
    times = Times(progress)
    # what steps say of how far they are is among the latest
    chosen = replace(settings, observer=times, follow_logs=True if logs else "latest")
    try:
        result = start(chosen)
    finally:
        progress.close()
    return result, times


def _report(result: RunResult, times: Times) -> None:
    from tiphys.cli import causes
    from tiphys.cli.summary import failures, summary

    style = Style(sys.stdout)
    sys.stdout.write(summary(result.workflow, times, style) + "\n")
    if not result.succeeded:
        text = failures(result.workflow, result.folder, Style(sys.stderr))
        if why := causes.lines(_record(result)):
            text = "\n".join([text, "", "causes", *why])
        sys.stderr.write(f"\n{text}\n\nlogs: {_relative(result.folder / 'logs')}\n")
    for service in result.services:
        sys.stdout.write(f"still serving {service.get('name')}: {service.get('url')}\n")
    if result.services:
        sys.stdout.write("stop them with: tiphys stop-serving\n")


def _with_causes(result: RunResult) -> Mapping[str, object]:
    from tiphys.cli import causes

    why = [] if result.succeeded else causes.as_json(_record(result))
    return {**result.workflow, "causes": why} if why else result.workflow


def _record(result: RunResult) -> RunRecord:
    """What is known of the run, which lies in its store at ``runs/NAME``."""
    from tiphys.runs.records import record_of
    from tiphys.store import Store

    return record_of(result.workflow, Store(result.folder.parent.parent), result.folder.name)


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _progress(logs: bool) -> TableProgress | LineProgress:
    from tiphys.cli.progress import LineProgress, TableProgress

    if Style(sys.stderr).terminal and not logs:
        return TableProgress()
    return LineProgress(logs=logs)
