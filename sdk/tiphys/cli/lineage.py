"""``tiphys lineage``: what a thing came from, and what came of it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import Style, add_store, local_store, print_json, put
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.records.lineage import Lineage

__all__ = ["register"]

_NAMED = ("step", "artifact", "alias")  # whose labels need no word before them


def register(subparsers: Any) -> None:
    add = subparsers.add_parser(
        "lineage",
        help="what a model, data or a run came from, or what came of it",
        description="Tells the steps, data and runs that a thing came from, up to code, lock file and commit; --down "
        "tells what came of it, down to reports, services and the names under which it is served. Exit code 1: "
        "something of it is gone or was changed.",
        epilog="example: tiphys lineage pvc://tiphys/models/KEY --down",
    )
    add.add_argument("target", metavar="X", help="a pvc:// URI, a digest, or the name of a run")
    add.add_argument("--up", action="store_true", help="what it came from (what is told if nothing is said)")
    add.add_argument("--down", action="store_true", help="what came of it")
    add.add_argument("--format", choices=("tree", "mermaid", "openlineage"), default="tree")
    add.add_argument("--no-check", action="store_true", help="do not read what lies in the volumes")
    add.add_argument(
        "--limit", type=int, default=100, metavar="N", help="so many steps that used one thing (default: 100)"
    )
    add.add_argument("-o", "--output", metavar="FILE", help="write to a file")
    add.add_argument("--json", action="store_true", help="print JSON: the things, and the edges between them")
    add_store(add)
    add.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.errors import RefusedError
    from tiphys.records.lineage import mermaid
    from tiphys.runs.records import Records, answered

    if options.limit < 1:
        raise RefusedError("TIP297", f"--limit is {options.limit}", fix="give 1 or more")
    if options.up and options.down:
        raise RefusedError("TIP297", "--up and --down are two questions", fix="ask one after the other")
    store = local_store(options)
    graph = Records(store.root).lineage(
        options.target, down=options.down, check=not options.no_check, limit=options.limit
    )
    if options.format == "openlineage":
        from tiphys.records.export.openlineage import lines

        put(lines(answered(store, lambda index: [index.record(key) for key in graph.runs])), options.output)
        return 1 if graph.problems else 0
    if options.json:
        print_json(
            {
                "root": graph.root,
                "direction": graph.direction,
                "things": [dataclasses.asdict(thing) for thing in graph.things.values()],
                "edges": graph.edges,
            }
        )
    elif options.format == "mermaid":
        put(mermaid(graph), options.output)
    else:
        put(_tree(graph, Style(sys.stdout)), options.output)
    for problem in graph.problems:
        sys.stderr.write(f"not what it was: {plain(problem)}\n")
    return 1 if graph.problems else 0


def _tree(graph: Lineage, style: Style) -> str:
    from tiphys.records.lineage import tree

    lines = []
    for depth, thing, again in tree(graph):
        word = "" if thing.kind in _NAMED else style.dim(f"{thing.kind} ")
        digest = style.dim(f"  {thing.digest[:19]}") if thing.digest else ""
        mark = style.bold("  NOT WHAT IT WAS") if thing.problem else ""
        above = style.dim("  (above)") if again else ""
        lines.append(f"{'  ' * depth}{word}{plain(thing.label)}{digest}{mark}{above}\n")
        if not again and (more := graph.more.get(thing.id)):
            lines.append(f"{'  ' * depth}  … and {more} earlier steps that used it (--limit)\n")
    return "".join(lines)
