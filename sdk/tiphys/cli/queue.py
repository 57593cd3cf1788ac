"""``tiphys queue``: semaphores and mutexes of the local store, and the limits of those in Argo's database."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_store, local_store, print_json, table
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.queue import Locks

__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
    verbs = subparsers.add_parser(
        "queue",
        help="list locks, and give limits to database semaphores",
        description="The semaphores and mutexes that all engines on the local store share.",
        epilog="example: tiphys queue ls",
    ).add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser(
        "ls", parents=[common], help="who holds what", epilog="example: tiphys queue ls --json"
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=list_locks)
    add = verbs.add_parser(
        "set",
        parents=[common],
        help="how many may hold a database semaphore",
        description="What `argo sync create KEY --type database --limit N` does on a cluster.",
        epilog="example: tiphys queue set argo/gang 2",
    )
    add.add_argument("key", metavar="NAMESPACE/KEY", help="the semaphore")
    add.add_argument("limit", metavar="N", help="a whole number from 1; 0 takes the limit away")
    add.set_defaults(handler=set_limit)


def _locks(options: argparse.Namespace) -> Locks:
    from tiphys.queue import Locks

    return Locks(local_store(options).locks)


def list_locks(options: argparse.Namespace) -> int:
    locks = _locks(options)
    try:
        found = locks.table()
    finally:
        locks.close()
    if options.json:
        print_json([dataclasses.asdict(each) for each in found])
        return 0
    rows = [
        (
            each.name,
            "" if each.limit is None else str(each.limit),
            ", ".join(each.holders),
            ", ".join(each.waiting),
        )
        for each in found
    ]
    sys.stdout.write((table(("LOCK", "LIMIT", "HELD BY", "WAITING"), rows) if rows else "no locks") + "\n")
    return 0


def set_limit(options: argparse.Namespace) -> int:
    namespace, _, name = options.key.partition("/")
    if not (namespace and name):
        raise RefusedError(
            "TIP294",
            f"{options.key!r} names no database semaphore",
            fix="write NAMESPACE/KEY, as in `tiphys queue set argo/gang 2`",
        )
    if not (options.limit.isascii() and options.limit.isdigit()):
        raise RefusedError(
            "TIP116", f"{options.limit!r} is no limit", fix="write a whole number; 0 takes the limit away"
        )
    locks = _locks(options)
    try:
        locks.set_limit(options.key, int(options.limit) or None)
    finally:
        locks.close()
    return 0
