"""``tiphys pools``: what one's pools of a training service have, and how much of it is taken."""

from __future__ import annotations

import argparse
import sys
from typing import Any, cast

from tiphys.cli._common import print_json, table
from tiphys.cli.train import add_service, client_of

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "pools",
        help="what the pools of a training service have, and how much of it is taken",
        description="Your pools at a training service: their size, what jobs have of it, how many run and wait.",
        epilog="example: tiphys pools",
    )
    add_service(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        pools = client.pools()
    if options.json:
        print_json(pools)
        return 0
    rows = []
    for pool in pools:
        size, used = cast("dict[str, str]", pool["size"]), cast("dict[str, str]", pool["used"])
        taken = ", ".join(
            f"{used.get(name, '0')} of {amount} {name}" for name, amount in sorted(size.items())
        )
        rows.append(
            (str(pool["name"]), str(pool["namespace"]), str(pool["running"]), str(pool["queued"]), taken)
        )
    sys.stdout.write(table(("POOL", "NAMESPACE", "RUNNING", "QUEUED", "TAKEN"), rows) + "\n")
    return 0
