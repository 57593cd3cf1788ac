"""``tiphys records export``: runs for OpenLineage and MLflow."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_store, print_json, put
from tiphys.cli.chosen import add_choice, chosen, records_of
from tiphys.errors import RefusedError, StoreError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.records.export.mlflow import Exported, Mirror
    from tiphys.runs import Client

__all__ = ["add_export"]

_TOKEN = "MLFLOW_TRACKING_TOKEN"


def add_export(verbs: Any) -> None:
    """``export`` among the verbs of ``tiphys records``."""
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
    add_choice(common)
    targets = verbs.add_parser(
        "export",
        help="write runs as OpenLineage events, or into an MLflow server",
        epilog="example: tiphys records export mlflow --all --uri http://localhost:5000",
    ).add_subparsers(dest="target", metavar="TARGET", required=True)

    add = targets.add_parser(
        "openlineage",
        parents=[common],
        help="events of OpenLineage 2-0-2, one JSON object a line",
        epilog="example: tiphys records export openlineage @latest -o events.jsonl",
    )
    add.add_argument("--namespace", default="", help="that of the jobs (tiphys://local)")
    add.add_argument("-o", "--output", metavar="FILE", help="write them to a file")
    add.set_defaults(handler=to_openlineage)

    add = targets.add_parser(
        "mlflow",
        parents=[common],
        help="runs, series, and models into an MLflow server; nothing twice",
        epilog="example: tiphys records export mlflow --all --uri http://localhost:5000",
    )
    add.add_argument(
        "--uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", ""),
        metavar="URL",
        help="the server (MLFLOW_TRACKING_URI)",
    )
    add.add_argument("--experiment", default="", metavar="NAME", help="default: the name of the pipeline")
    add.add_argument(
        "--token-env",
        default="",
        metavar="VAR",
        help=f"the variable that holds a bearer token ({_TOKEN}, if it is set)",
    )
    add.add_argument(
        "--follow", action="store_true", help="go on until the runs have ended, and send what comes"
    )
    add.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="of --follow (%(default)s)")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=to_mlflow)


def to_openlineage(options: argparse.Namespace) -> int:
    from tiphys.records.export.openlineage import lines
    from tiphys.runs import Client

    with Client(store=options.store) as client:
        records = (record for name in chosen(options, client) for record in records_of(options, client, name))
        if events := lines(records, namespace=options.namespace):
            put(events, options.output)
    return 0


def to_mlflow(options: argparse.Namespace) -> int:
    from tiphys.records.export.mlflow import Mirror
    from tiphys.records.export.rest import Rest
    from tiphys.runs import Client

    if not options.uri:
        raise RefusedError(
            "TIP289", "no server is named", fix="give --uri http://host:port, or set MLFLOW_TRACKING_URI"
        )
    if not 0.1 <= options.every <= 86400:
        raise RefusedError("TIP289", "--every is not from 0.1 to 86400 seconds", fix="--every 5")
    server = Rest(options.uri, token=_token(options.token_env))
    mirror = Mirror(server, options.experiment)
    done: dict[str, Exported] = {}
    with Client(store=options.store) as client:
        names = chosen(options, client)
        while names:
            names = [name for name in names if _send(options, client, mirror, name, done)]
            if not options.follow:
                break
            if names:
                time.sleep(options.every)
    server.close()
    if options.json:
        print_json([dataclasses.asdict(each) for each in done.values()])
    return 0


def _send(
    options: argparse.Namespace, client: Client, mirror: Mirror, name: str, done: dict[str, Exported]
) -> bool:
    """Export a run, and say what was new; whether it goes on."""
    for record in records_of(options, client, name):
        try:
            each = mirror.put(record)
        except StoreError as error:
            if not options.follow or error.code != "TIP434" or record.finished:
                raise
            sys.stderr.write(f"tiphys: {plain(error.message)}: tried again in {options.every:g} s\n")
            return True
        known = done.setdefault(name, each)
        if known is not each:
            for count in ("runs", "points", "params", "tags", "models"):
                setattr(known, count, getattr(known, count) + getattr(each, count))
        for note in each.notes:
            sys.stderr.write(f"{plain(name)}: {plain(note)}\n")
        if not options.json and (known is each or each.runs or each.points):
            new = ", ".join(f"{getattr(each, count)} {count}" for count in ("runs", "points", "models"))
            sys.stdout.write(f"{plain(name)}  {new} new  {plain(each.url)}\n")
            sys.stdout.flush()
        return not record.finished
    return False


def _token(variable: str) -> str:
    if variable and not os.environ.get(variable):
        raise RefusedError(
            "TIP289",
            f"the variable {variable} is not set",
            fix=f"export {variable}=…, or leave --token-env out",
        )
    return os.environ.get(variable or _TOKEN, "")
