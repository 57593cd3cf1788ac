"""``tiphys queue``: pools and their limits, who holds and who waits, and why; locks of the local store."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_store, local_store, print_json, put, seconds, table
from tiphys.errors import RefusedError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.queue import Locks
    from tiphys.queue.locks import Lock
    from tiphys.queue.permits import Permits
    from tiphys.queue.rules import Rules
    from tiphys.queue.telling import PoolTold, UserTold, Waits

__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
    verbs = subparsers.add_parser(
        "queue",
        help="who may start now: list pools and locks, say why a run waits, and give limits",
        description="The pools, semaphores and mutexes that all engines on the local store share.",
        epilog="example: tiphys queue ls",
    ).add_subparsers(dest="verb", metavar="VERB", required=True)
    add = verbs.add_parser(
        "ls",
        parents=[common],
        help="who holds what, who waits, and what was used of what is owed",
        epilog="example: tiphys queue ls --json",
    )
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=list_all)
    add = verbs.add_parser(
        "explain",
        parents=[common],
        help="what each step of a run waits for, whose turn is before it, and what would free it",
        epilog="example: tiphys queue explain fashion-mnist-x7k2p",
    )
    add.add_argument("run", metavar="RUN", help="the run")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=explain_run)
    add = verbs.add_parser(
        "set",
        parents=[common],
        help="how many permits a pool has, or how many may hold a database semaphore",
        description="The limit of a pool holds at once, also for those that wait; what holds more goes on. Of a "
        "database semaphore it is what `argo sync create KEY --type database --limit N` does on a cluster.",
        epilog="example: tiphys queue set training 8",
    )
    add.add_argument("key", metavar="POOL|NAMESPACE/KEY", help="the pool, or the semaphore")
    add.add_argument(
        "limit",
        metavar="N",
        nargs="?",
        help="a whole number; 0 closes a pool, and takes the limit of a semaphore away",
    )
    add.add_argument("--unset", action="store_true", help="what queue.toml or the runs say holds again")
    add.set_defaults(handler=set_limit)
    add = verbs.add_parser(
        "compile",
        help="what a queue.toml says, as objects of Kueue for a cluster",
        description="Write the YAML of Kueue's queues and classes, and of the policies that say who may use which: "
        "the same bytes every time. What a cluster cannot be told is noted on standard error.",
        epilog="example: tiphys queue compile queue.toml | kubectl apply -f -",
    )
    add.add_argument("file", metavar="FILE", help="a queue.toml with a table [cluster]")
    add.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
    add.set_defaults(handler=compile_rules)


@contextlib.contextmanager
def _permits(options: argparse.Namespace) -> Iterator[tuple[Permits, Rules]]:
    from tiphys.queue.permits import Permits
    from tiphys.queue.rules import load_rules

    store = local_store(options)
    rules = load_rules(store.queue_rules)
    with contextlib.closing(Permits(store.locks, lambda: rules)) as permits:
        permits.news()  # what dead engines left is cleared away
        yield permits, rules


def _locks(options: argparse.Namespace) -> Locks:
    from tiphys.queue import Locks

    return Locks(local_store(options).locks)


def list_all(options: argparse.Namespace) -> int:
    from tiphys.queue.telling import pools_told, users_told

    with _permits(options) as (permits, rules):
        view, now = permits.view(), time.time()
        pools, users = pools_told(view, now), users_told(view, rules)
    with contextlib.closing(_locks(options)) as table_of_locks:
        locks = table_of_locks.table()
    if options.json:
        print_json(
            {
                "pools": [dataclasses.asdict(each) for each in pools],
                "users": [dataclasses.asdict(each) for each in users],
                "locks": [dataclasses.asdict(each) for each in locks],
            }
        )
        return 0
    parts = [_pools(pools), *(_holders(each, now) for each in pools), _users(users), _lock_table(locks)]
    sys.stdout.write("\n\n".join(part for part in parts if part) or "no pools and no locks")
    sys.stdout.write("\n")
    return 0


def _pools(pools: list[PoolTold]) -> str:
    rows = [
        (each.name, str(each.size), str(each.free), str(len(each.holding)), str(len(each.waiting)))
        for each in pools
    ]
    return table(("POOL", "SIZE", "FREE", "HOLDING", "WAITING"), rows) if rows else ""


def _holders(pool: PoolTold, now: float) -> str:
    rows = [
        (state, each.name, str(each.permits), each.user, str(each.priority), _since(each.since, now))
        for state, found in (("holds", pool.holding), ("waits", pool.waiting))
        for each in found
    ]
    header = (pool.name.upper(), "STEP", "PERMITS", "USER", "PRIORITY", "FOR")
    return table(header, rows) if rows else ""


def _users(users: list[UserTold]) -> str:
    rows = [
        (
            each.user,
            each.group,
            f"{each.used / 3600:.1f} permit hours",
            f"{each.used_share:.1%}",
            f"{each.owed_share:.1%}",
        )
        for each in users
    ]
    return table(("USER", "GROUP", "USED", "USED SHARE", "OWED SHARE"), rows) if rows else ""


def _lock_table(locks: list[Lock]) -> str:
    rows = [
        (
            each.name,
            "" if each.limit is None else str(each.limit),
            ", ".join(each.holders),
            ", ".join(each.waiting),
        )
        for each in locks
    ]
    return table(("LOCK", "LIMIT", "HELD BY", "WAITING"), rows) if rows else ""


def _since(moment: float, now: float) -> str:
    return seconds(max(now - moment, 0.0))


def explain_run(options: argparse.Namespace) -> int:
    from tiphys.queue.telling import of_run, pools_told, why
    from tiphys.runs import Client

    workflow = Client(store=options.store).get(options.run).workflow
    namespace = str(workflow["metadata"].get("namespace", "argo"))
    with _permits(options) as (permits, _):
        view, now = permits.view(), time.time()
        pools = {each.name: each for each in pools_told(view, now)}
        found = [each for claim in of_run(view, namespace, options.run) if (each := why(view, claim, now))]
    with contextlib.closing(_locks(options)) as table_of_locks:
        locks = table_of_locks.table()
    mine = f"{namespace}/{options.run}"
    wanted = [each for each in locks if any(f"{name}/".startswith(f"{mine}/") for name in each.waiting)]
    suspended = bool((workflow.get("spec") or {}).get("suspend"))
    if options.json:
        print_json(
            {
                "run": options.run,
                "suspended": suspended,
                "waiting": [
                    {
                        "pool": pool,
                        **dataclasses.asdict(waits),
                        "size": pools[pool].size,
                        "free": pools[pool].free,
                        "holding": [dataclasses.asdict(each) for each in pools[pool].holding],
                    }
                    for pool, waits in found
                ],
                "locks": [dataclasses.asdict(each) for each in wanted],
            }
        )
        return 0
    parts = [_explained(pools[pool], waits, now) for pool, waits in found]
    parts += [
        f"{options.run} waits for the lock {each.name}\n  held by     {', '.join(each.holders) or 'nobody'}"
        for each in wanted
    ]
    if suspended:
        parts.append(f"{options.run} is suspended: it stands in no queue until `tiphys resume {options.run}`")
    text = "\n".join(parts) or f"{options.run} waits for no pool and no lock"
    sys.stdout.write("\n".join(map(plain, text.split("\n"))) + "\n")
    return 0


def _explained(pool: PoolTold, waits: Waits, now: float) -> str:
    has = f"{pool.free} of {pool.size} free"
    lines = [
        f"{waits.name} wants {waits.permits} of pool {pool.name} ({has}), for {_since(waits.since, now)}"
    ]
    if waits.ahead:
        shown = ", ".join(waits.ahead[:5]) + (f" and {len(waits.ahead) - 5} more" if waits.ahead[5:] else "")
        lines.append(f"  before it   {shown}")
    if waits.kept_for:
        lines.append(
            f"  kept        what comes free is kept for {waits.kept_for}: enough others went past it"
        )
    lines += [
        f"  holds       {each.permits}: {each.name} ({each.user}), for {_since(each.since, now)}"
        for each in pool.holding
    ]
    lines.append(f"  it starts   {_when(pool, waits)}")
    return "\n".join(lines)


def _when(pool: PoolTold, waits: Waits) -> str:
    if waits.never:
        return f"never, of {pool.size} in all: tiphys queue set {pool.name} {waits.permits}"
    if waits.kept_for:
        return f"after {waits.kept_for}"
    more = waits.permits - pool.free
    if more <= 0:
        return "at its turn"
    return f"when {more} more {'is' if more == 1 else 'are'} given back"


def set_limit(options: argparse.Namespace) -> int:
    key, limit = options.key, _limit(options)
    namespace, slash, name = key.partition("/")
    if slash:
        if not (namespace and name):
            raise RefusedError(
                "TIP294",
                f"{key!r} names no database semaphore",
                fix="write NAMESPACE/KEY, as in `tiphys queue set argo/gang 2`",
            )
        with contextlib.closing(_locks(options)) as locks:
            locks.set_limit(key, limit or None)
        return 0
    with _permits(options) as (permits, _):
        permits.set_size(key, limit)
    return 0


def _limit(options: argparse.Namespace) -> int | None:
    """The limit that is given; None with ``--unset``."""
    text = options.limit
    if options.unset and text is None:
        return None
    if options.unset or text is None:
        raise RefusedError("TIP116", "neither a limit nor --unset, or both", fix="give one of them")
    if not (text.isascii() and text.isdigit() and int(text[:20]) < 2**31):
        raise RefusedError(
            "TIP116", f"{text!r} is no limit", fix="write a whole number, or --unset to take a limit away"
        )
    return int(text)


def compile_rules(options: argparse.Namespace) -> int:
    from tiphys.compiler.emit import emit_all
    from tiphys.queue.kueue import kueue_objects
    from tiphys.queue.rules import load_rules

    path = Path(options.file)
    objects, unsaid = kueue_objects(load_rules(path, needed=True), path)
    for note in unsaid:
        sys.stderr.write(f"note: {plain(note)}\n")
    put(emit_all(objects), options.output)
    return 0
