"""``tiphys runs``, ``models`` and ``lineage``: the records of the local store."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from tiphys.cli._common import Style, add_store, local_store, print_json, table

__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
    common.add_argument("--json", action="store_true", help="print JSON")

    add = subparsers.add_parser(
        "runs",
        parents=[common],
        help="list runs: the same as `tiphys list --local`",
        epilog="example: tiphys runs --json",
    )
    add.add_argument("name", nargs="?", help="print the Workflow object of this run")
    add.add_argument(
        "--metrics", metavar="NAME", help="print the metrics of this run in Prometheus' text format"
    )
    add.set_defaults(handler=list_runs)
    add = subparsers.add_parser(
        "models", parents=[common], help="list trained models", epilog="example: tiphys models"
    )
    add.set_defaults(handler=list_models)
    add = subparsers.add_parser(
        "lineage",
        parents=[common],
        help="which steps and data a model or a run came from",
        epilog="example: tiphys lineage pvc://tiphys/models/KEY",
    )
    add.add_argument("target", help="a pvc:// URI, a digest, or the name of a run")
    add.set_defaults(handler=show_lineage)


def list_runs(options: argparse.Namespace) -> int:
    """``tiphys list --store``, and with a name ``tiphys get --json --store``."""
    from tiphys.cli.runs import show_list
    from tiphys.engine.runtime.metrics_file import run_metrics
    from tiphys.runs import Client

    if options.metrics:
        sys.stdout.write(run_metrics(local_store(options), options.metrics))
        return 0
    with Client(store=options.store) as client:
        if options.name:
            print_json(client.get(options.name).workflow)
            return 0
        return show_list(client.list(brief=not options.json), as_json=options.json)


def list_models(options: argparse.Namespace) -> int:
    from tiphys.records.history import models

    found = models(local_store(options))
    if options.json:
        print_json([dataclasses.asdict(model) for model in found])
        return 0
    rows = [
        (model.uri, ",".join(model.versions), model.digest[:19], model.problem or "ok") for model in found
    ]
    sys.stdout.write((table(("MODEL", "VERSIONS", "DIGEST", "STATE"), rows) if rows else "no models") + "\n")
    return 0


def show_lineage(options: argparse.Namespace) -> int:
    from tiphys.records.history import Link, lineage

    link = lineage(local_store(options), options.target)
    if options.json:
        print_json(dataclasses.asdict(link))
        return 0
    style = Style(sys.stdout)

    def show(item: Link, depth: int) -> None:
        made = style.dim(f"  by {item.step} of {item.run}") if item.run and depth else ""
        digest = style.dim(f"  {item.digest[:19]}") if item.digest else ""
        sys.stdout.write(f"{'  ' * depth}{item.uri}{digest}{made}\n")
        for source in item.sources:
            show(source, depth + 1)

    show(link, 0)
    return 0
