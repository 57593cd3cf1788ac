"""``tiphys diff A B``: what differs between two runs."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from itertools import groupby
from typing import Any

from tiphys.cli._common import Style, add_store, print_json, seconds, table

__all__ = ["register"]


def register(subparsers: Any) -> None:
    add = subparsers.add_parser(
        "diff",
        help="what differs between two runs: code, parameters, data, images, metrics, times",
        epilog="example: tiphys diff fashion-mnist-x7x2p fashion-mnist-9k2lw",
    )
    add.add_argument("left", metavar="A", help="a run, by its name or its key in the records")
    add.add_argument("right", metavar="B", help="another")
    add_store(add)
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=show_diff)


def show_diff(options: argparse.Namespace) -> int:
    """Exit code 0, whether or not something differs."""
    from tiphys.runs.records import Records

    found = Records(options.store).diff(options.left, options.right)
    if options.json:
        print_json([dataclasses.asdict(each) for each in found])
        return 0
    style = Style(sys.stdout)
    for part, inside in groupby(found, key=lambda each: each.part):
        print(style.bold(part))
        rows = [
            (f"  {each.name or 'the run'}", _text(each.left, part), _text(each.right, part))
            for each in inside
        ]
        print(table(("", options.left, options.right), rows))
    if not found:
        print("nothing differs")
    return 0


def _text(value: str | float | None, part: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return seconds(value) if part == "times" else f"{value:.6g}"
    text = value.replace("\n", " ")
    return text if len(text) <= 50 else text[:47] + "..."
