"""Which runs of the records a command is about: some by their names, all, or those for which a condition holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.cli._common import local_store
from tiphys.errors import RefusedError, TiphysError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord
    from tiphys.runs import Client

__all__ = ["add_choice", "chosen", "records_of"]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """``RUN …``, ``--all``, ``--where``."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="its name, or @latest; of a cluster's run its key"
    )
    parser.add_argument("--all", action="store_true", help="every run of the records, the oldest first")
    parser.add_argument(
        "--where", default="", metavar="CONDITION", help="those of which it holds, as `tiphys list --where`"
    )


def chosen(options: argparse.Namespace, client: Client) -> list[str]:
    """The keys of the runs, each once; those that are asked of the records, the oldest first."""
    if [bool(options.runs), options.all, bool(options.where)].count(True) != 1:
        raise RefusedError(
            "TIP289",
            "which runs are meant?",
            fix="give names of runs (`tiphys list --local`), or --where, or --all: one of them",
        )
    if options.runs:
        return list(dict.fromkeys(client.full_name(name) for name in options.runs))
    from tiphys.runs.records import Records

    found, notes = Records(options.store).listed(options.where)
    for note in notes:
        sys.stderr.write(f"tiphys: {plain(note)}\n")
    return [each.key for each in reversed(found)]


def records_of(options: argparse.Namespace, client: Client, key: str) -> Iterator[RunRecord]:
    """What is known of a run, of this machine with all its points; of many, one that cannot be read is left out."""
    from tiphys.runs.records import Records, record_of

    try:
        if "/" in key:  # of a cluster
            record = Records(options.store).get(key)
        else:
            found = client.get(key)
            record = record_of(found.workflow, local_store(options), found.record)
    except TiphysError as error:
        if options.runs:
            raise
        sys.stderr.write(f"tiphys: {plain(key)} is left out: {plain(error.message)}\n")
        return
    yield record
