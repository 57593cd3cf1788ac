"""``tiphys reproduce``: run again what a run was, from nothing, and compare what came of it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from tiphys.cli._common import Style, add_store, print_json
from tiphys.cli.execute import shown
from tiphys.terminal import plain

__all__ = ["register"]


def register(subparsers: Any) -> None:
    add = subparsers.add_parser(
        "reproduce",
        help="run a run again from nothing, and compare everything that came of it",
        description="Runs the same Workflow with the same name and parameters in a store of its own, where nothing is "
        "cached, and compares the digests of all that was made, the outputs and the phases; what the run was made from "
        "(code, lock file, commit, installed packages) is compared as well. What is measured (seconds, ports) is not.",
        epilog="example: tiphys reproduce fashion-mnist-x7x2p --check",
    )
    add.add_argument("name", metavar="RUN", help="a run of this machine that has succeeded, or @latest")
    add.add_argument(
        "--check", action="store_true", help="exit with 1 when something that came of it differs"
    )
    add.add_argument(
        "--into", metavar="DIR", help="the store of the second run (default: STORE/reproduced/RUN)"
    )
    add.add_argument("--keep", action="store_true", help="keep that store also when all is equal")
    add.add_argument("--logs", action="store_true", help="show what the steps write")
    add.add_argument(
        "--with",
        dest="secrets",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML with the run's Secrets",
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    add_store(add)
    add.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.engine import RunOptions
    from tiphys.runs import Client
    from tiphys.runs.reproduce import again, prepare
    from tiphys.store import Store
    from tiphys.store.files import remove

    with Client(store=options.store) as client:
        name = client.full_name(options.name)
        before = client.get(name).workflow
    settings = RunOptions(store=options.store, secrets=options.secrets)
    folder = Path()

    def start(chosen: RunOptions) -> Any:
        nonlocal folder
        run, folder = prepare(name, chosen, Path(options.into) if options.into else None)
        return run.execute()

    result, _ = shown(start, settings, logs=options.logs)
    if result.interrupted:
        sys.stderr.write(f"interrupted: tiphys reproduce {name} goes on where it stood\n")
        return 130
    found = again(name, before, result.workflow, Store(options.store), folder)
    if options.json:
        print_json(
            {
                "run": name,
                "same": found.same,
                "equal": found.equal,
                "differences": [
                    {**dataclasses.asdict(each), "result": each.result} for each in found.differences
                ],
            }
        )
    else:
        _print(found)
    if found.same and not options.keep and not options.into:
        remove(folder)
    elif not options.json:
        sys.stdout.write(f"the second run: {folder}\n")
    return 0 if found.same or not options.check else 1


def _print(found: Any) -> None:
    style = Style(sys.stdout)
    for name, digest in found.equal.items():
        sys.stdout.write(f"  equal    {plain(name)}  {style.dim(digest[:19])}\n")
    for each in found.differences:
        word = "DIFFERS" if each.result else "other"
        name = each.name if each.name == each.what else f"{each.what} {each.name}"
        sys.stdout.write(
            f"  {word:<8} {plain(name)}\n             was {plain(each.before)}\n             is  {plain(each.now)}\n"
        )
    if found.same:
        sys.stdout.write(style.bold(f"{found.name} is reproduced: all that came of it is the same\n"))
    else:
        count = sum(each.result for each in found.differences)
        sys.stdout.write(style.bold(f"{found.name} is not reproduced: {count} of what came of it differs\n"))
