"""``tiphys cache``, ``runs``, ``models`` and ``lineage``: the records of the local store."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import Style, print_json, seconds, table
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry
    from tiphys.store import Store

    class _Listed(CacheEntry):
        cache: str
        key: str
        problem: str


__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--store", default=".tiphys", metavar="DIR", help="the local store (%(default)s)")
    common.add_argument("--json", action="store_true", help="print JSON")

    cache = subparsers.add_parser(
        "cache",
        help="list, explain and remove cached steps",
        description="The memoization caches of the local store, in the layout of Argo's ConfigMaps.",
        epilog="example: tiphys cache ls",
    ).add_subparsers(dest="verb", metavar="VERB", required=True)
    add = cache.add_parser(
        "ls", parents=[common], help="every entry", epilog="example: tiphys cache ls --json"
    )
    add.set_defaults(handler=cache_list)
    add = cache.add_parser(
        "explain",
        parents=[common],
        help="what an entry holds and whether it would be used",
        epilog="example: tiphys cache explain ingest-3f2a",
    )
    add.add_argument("key", help="a key or the beginning of one")
    add.set_defaults(handler=cache_explain)
    add = cache.add_parser(
        "rm", parents=[common], help="remove entries", epilog="example: tiphys cache rm train-cnn"
    )
    add.add_argument("key", help="a key or the beginning of one")
    add.set_defaults(handler=cache_remove)
    add = cache.add_parser(
        "gc",
        parents=[common],
        help="remove what was not used for long, and what nothing refers to",
        description="Remove cache entries that were not hit for long, artifacts that no run or entry names, and the "
        "volumes and sealed folders of runs that are no longer recorded. It may run beside runs: volumes are then left "
        "alone.",
        epilog="example: tiphys cache gc --not-hit-for 14d --dry-run",
    )
    add.add_argument(
        "--not-hit-for", default="14d", metavar="DURATION", help="age of an entry's last use (%(default)s)"
    )
    add.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    add.set_defaults(handler=cache_collect)

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


def _store(options: argparse.Namespace) -> Store:
    from tiphys.store import Store

    return Store(options.store)


def _entries(store: Store) -> list[_Listed]:
    """Every cache entry with the reason why it would not be used."""
    from tiphys.reuse.judge import entries

    return [
        {"cache": each.cache, "key": each.key, "problem": each.problem, **each.entry}
        for each in entries(store)
    ]


def _matching(options: argparse.Namespace, store: Store) -> list[_Listed]:
    found = [entry for entry in _entries(store) if entry["key"].startswith(options.key)]
    if not found:
        raise RefusedError(
            "TIP294", f"no cache entry begins with {options.key!r}", fix="`tiphys cache ls` lists them"
        )
    return found


def cache_list(options: argparse.Namespace) -> int:
    from tiphys.cli.times import since_epoch

    entries = _entries(_store(options))
    if options.json:
        print_json(entries)
        return 0
    now = time.time()
    rows = [
        (
            entry["cache"],
            entry["key"],
            *(
                seconds(now - since_epoch(entry[field])) if entry.get(field) else ""
                for field in ("creationTimestamp", "lastHitTimestamp")
            ),
            entry["problem"] or "ok",
        )
        for entry in entries
    ]
    sys.stdout.write(
        (table(("CACHE", "KEY", "AGE", "LAST USED", "STATE"), rows) if rows else "no entries") + "\n"
    )
    return 0


def cache_explain(options: argparse.Namespace) -> int:
    entries = _matching(options, _store(options))
    if options.json:
        print_json(entries)
        return 0
    style = Style(sys.stdout)
    for entry in entries:
        verdict = (
            style.red(f"would not be used: {entry['problem']}") if entry["problem"] else style.green("good")
        )
        lines = [
            style.bold(entry["key"]) + f"  ({entry['cache']})",
            f"  state      {verdict}",
            f"  made by    {entry.get('nodeID', '?')} at {entry.get('creationTimestamp') or '?'}",
            f"  last used  {entry.get('lastHitTimestamp') or '?'}",
        ]
        for item in (entry.get("outputs") or {}).get("parameters") or []:
            lines.append(f"  output     {item.get('name')} = {str(item.get('value', ''))[:200]}")
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def cache_remove(options: argparse.Namespace) -> int:
    store = _store(options)
    gone = [
        entry for entry in _matching(options, store) if store.configmaps.remove(entry["cache"], entry["key"])
    ]
    return _tell_removed(options, [(entry["cache"], entry["key"]) for entry in gone])


def cache_collect(options: argparse.Namespace) -> int:
    from tiphys.expr.durations import parse_human

    try:
        limit = parse_human(options.not_hit_for)
    except ValueError as error:
        raise RefusedError(
            "TIP295",
            f"{options.not_hit_for!r} is not a duration",
            cause=str(error),
            fix="write for example 14d or 36h",
        ) from error
    from tiphys.store.garbage import collect

    gone = collect(_store(options), not_hit_for=limit, dry_run=options.dry_run)
    if options.json:
        print_json(
            {
                "dryRun": options.dry_run,
                "entries": [{"cache": cache, "key": key} for cache, key in gone.entries],
                "artifacts": [dataclasses.asdict(item) for item in gone.artifacts],
                "volumes": [{"uri": uri, "size": size} for uri, size in gone.volumes],
                "bytes": gone.size,
                "volumesHeldBy": gone.held_by,
                "kept": [item._asdict() for item in gone.kept],
            }
        )
        return 0
    did = "would remove" if options.dry_run else "removed"
    lines = [f"{did} the entry {cache}/{key}" for cache, key in gone.entries]
    lines += [f"{did} {item.digest[:19]}, {_amount(item.size)}" for item in gone.artifacts]
    lines += [f"{did} {uri}, {_amount(size)}" for uri, size in gone.volumes]
    lines += [f"{'/'.join(filter(None, item[:2]))} stays: {item.why}" for item in gone.kept]
    if gone.held_by:
        lines.append(f"volumes are left alone: {gone.held_by}")
    lines.append(f"{_amount(gone.size)} in all" if gone.size else "" if lines else "nothing to remove")
    sys.stdout.write("\n".join(line for line in lines if line) + "\n")
    return 0


def _amount(size: int) -> str:
    """Bytes for people: ``812 B``, ``3.4 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _tell_removed(options: argparse.Namespace, gone: list[tuple[str, str]]) -> int:
    if options.json:
        print_json([{"cache": cache, "key": key} for cache, key in gone])
    else:
        sys.stdout.write("".join(f"removed {cache}/{key}\n" for cache, key in gone) or "nothing to remove\n")
    return 0


def list_runs(options: argparse.Namespace) -> int:
    """``tiphys list --store``, and with a name ``tiphys get --json --store``."""
    from tiphys.cli.runs import show_list
    from tiphys.engine.runtime.metrics_file import run_metrics
    from tiphys.runs import Client

    if options.metrics:
        sys.stdout.write(run_metrics(_store(options), options.metrics))
        return 0
    with Client(store=options.store) as client:
        if options.name:
            print_json(client.get(options.name).workflow)
            return 0
        return show_list(client.list(), as_json=options.json)


def list_models(options: argparse.Namespace) -> int:
    from tiphys.records.history import models

    found = models(_store(options))
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

    link = lineage(_store(options), options.target)
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
