"""What ``tiphys list --where`` and ``tiphys get`` show of the records."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.cli._common import print_json, seconds, table
from tiphys.errors import RefusedError
from tiphys.store import Store
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.records.listed import ListedRun
    from tiphys.records.record import RunRecord
    from tiphys.runs import Client, Result

__all__ = ["measured", "own_store", "record_shown", "show_asked"]


def own_store(client: Client, what: str) -> Store:
    """The store of a client of this machine. Raises RefusedError TIP256 for one of a cluster."""
    if client.store is None:
        raise RefusedError(
            "TIP256",
            f"{what} is asked of the records of a store",
            cause="a cluster has none: its workflows are in a store's after `tiphys records sync`",
            fix="add --local, or --store DIR; --source NAME for those of one cluster",
        )
    return Store(Path(client.store))


def show_asked(client: Client, options: argparse.Namespace) -> int:
    """``tiphys list`` with --where, --order-by or --source."""
    from tiphys.argo.selectors import matches_labels, parse_labels
    from tiphys.cli._tree import age
    from tiphys.runs.records import Records

    store = own_store(client, "--where, --order-by or --source")
    wanted = parse_labels(options.selector)
    found, notes = Records(store.root).listed(
        _condition(options), order_by=options.order_by, limit=0 if wanted else options.limit
    )
    found = [run for run in found if matches_labels(wanted, dict(run.labels))][: options.limit or None]
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    if options.json:
        print_json([run.flat() for run in found])
        return 0
    names = _names(f"{options.where} {options.order_by}", found)
    lines = [
        (
            run.key,
            run.phase,
            age(datetime.fromtimestamp(run.started, UTC) if run.started else None),
            seconds(run.seconds) if run.seconds else "",
            *(_text(run.flat().get(name, "")) for name in names),
            run.message.replace("\n", " ")[:80],
        )
        for run in found
    ]
    print(table(("NAME", "PHASE", "AGE", "TIME", *names, "MESSAGE"), lines) if lines else "no workflows")
    return 0


def _condition(options: argparse.Namespace) -> str:
    """What is asked for, as one condition."""
    from tiphys.records.where import parsed

    parts = [f"({options.where})"] if options.where else []
    if options.where:
        parsed(options.where)  # so that a fault is shown at the place that was written
    if options.phase:
        parts.append(f"phase in ({', '.join(map(_quoted, options.phase))})")
    if options.source:
        parts.append(f"source == {_quoted(options.source)}")
    return " and ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _names(asked: str, found: list[ListedRun]) -> list[str]:
    """The columns to show: what was asked for by a name that runs give themselves."""
    known = dict.fromkeys(name for run in found for name in run.flat() if "." in name)
    return [name for name in known if name in asked][:6]


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("\n", " ")[:40]


def record_shown(client: Client, state: Result) -> RunRecord:
    """What is known of a run that is shown."""
    from tiphys.runs.records import record_of

    store = Store(Path(client.store)) if client.store is not None else None
    return record_of(state.workflow, store, state.record)


def measured(record: RunRecord) -> list[str]:
    """The metrics of a run, a line for each step that has some, and for each worker that the others of its gang wait
    for."""
    from tiphys.records.slow import slow_workers

    lines = []
    for step in record.steps:
        if step.metrics:
            values = (f"{plain(name)} {_text(value)}" for name, value in step.metrics.items())
            lines.append(f"  {plain(step.name)}: {', '.join(values)}")
        lines += [f"  {plain(step.name)}: {plain(each)}" for each in slow_workers(step)]
    return lines
