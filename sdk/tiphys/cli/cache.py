"""``tiphys cache``: what memoized steps left in the local store, and why it would be used or not."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import Style, add_store, local_store, print_json, seconds, table
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiphys.reuse.explain import Explained
    from tiphys.reuse.gc import Garbage
    from tiphys.reuse.judge import Judged
    from tiphys.reuse.limits import CacheLimits
    from tiphys.reuse.uses import Lookup
    from tiphys.store import Store

__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
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
        help="why a step was a hit or ran, and what its entry holds",
        description="Say of a step or a key: hit or miss, what the key is made of, the first part that differs from "
        "the nearest entry, who made the entry, who used it, and whether it would be used now.",
        epilog="example: tiphys cache explain train fashion-mnist-x7k2p",
    )
    add.add_argument("key", metavar="STEP|KEY", help="a step, or a key or the beginning of one")
    add.add_argument(
        "run", metavar="RUN", nargs="?", default="", help="as this run, or @latest, asked for it"
    )
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
        description="Remove cache entries beyond the limits given, artifacts that no run or entry names, and the "
        "volumes and sealed folders of runs that are no longer recorded. It may run beside runs: volumes are then "
        "left alone. Entries used within the last minute stay.",
        epilog="example: tiphys cache gc --not-hit-for 14d --dry-run",
    )
    _add_limits(add, "without any limit: --not-hit-for 14d")
    add.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    where = add.add_argument_group("where", "instead of the store, the caches of a namespace")
    where.add_argument("--cluster", action="store_true", help="the ConfigMaps of a cluster's caches")
    where.add_argument("-n", "--namespace", help="the namespace (default: the context's)")
    where.add_argument("--kubeconfig", metavar="FILE", help="of the Kubernetes API")
    where.add_argument("--context", help="the kubeconfig's context")
    add.set_defaults(handler=cache_collect)
    add = cache.add_parser(
        "limits",
        parents=[common],
        help="what the store keeps by itself",
        description="Print or set the limits of the store. Runs remove entries by themselves when one is passed: "
        "those not used for longest first. What the entries pointed to goes with the next `tiphys cache gc`.",
        epilog="example: tiphys cache limits --max-entries 200000 --not-hit-for 60d",
    )
    _add_limits(add, "`none` takes a limit away")
    add.set_defaults(handler=cache_limits)
    add = cache.add_parser(
        "export",
        parents=[common],
        help="write caches as Argo's ConfigMaps",
        description="Write the entries of the store as the ConfigMaps that Argo's controller keeps caches in. One that "
        "would be larger than 1 MiB is split: what was used last is in the ConfigMap that the steps name.",
        epilog="example: tiphys cache export tiphys-cache-train > caches.yaml",
    )
    add.add_argument("cache", nargs="?", default="", help="only this cache")
    add.set_defaults(handler=cache_export)
    add = cache.add_parser(
        "import",
        parents=[common],
        help="read caches from Argo's ConfigMaps",
        description="Read the entries of ConfigMaps, as `kubectl get configmap NAME -o yaml` and `tiphys cache export` "
        "write them; an entry that the store has already stays as it is.",
        epilog="example: tiphys cache import caches.yaml",
    )
    add.add_argument("file", type=Path, help="YAML or JSON; a List, too")
    add.set_defaults(handler=cache_import)


def _add_limits(parser: argparse.ArgumentParser, note: str) -> None:
    group = parser.add_argument_group("limits", note)
    group.add_argument("--older-than", metavar="DURATION", help="age of an entry, such as 90d")
    group.add_argument("--not-hit-for", metavar="DURATION", help="age of its last use")
    group.add_argument("--max-bytes", metavar="SIZE", help="of outputs and what they point to, such as 50GB")
    group.add_argument("--max-entries", metavar="N", help="how many")


def _limits(options: argparse.Namespace, known: CacheLimits) -> CacheLimits:
    """The limits that the options give; the others as they are known."""
    from tiphys.reuse.limits import CacheLimits

    def chosen(text: str | None, read: Callable[[str], float | None], known: float | None) -> float | None:
        return known if text is None else None if text == "none" else read(text)

    size = chosen(options.max_bytes, _bytes, known.max_bytes)
    count = chosen(options.max_entries, _count, known.max_entries)
    return CacheLimits(
        chosen(options.older_than, _duration, known.older_than),
        chosen(options.not_hit_for, _duration, known.not_hit_for),
        None if size is None else int(size),
        None if count is None else int(count),
    )


def _duration(text: str) -> float:
    from tiphys.expr.durations import parse_human

    try:
        return parse_human(text)
    except ValueError as error:
        raise RefusedError(
            "TIP295", f"{text!r} is not a duration", cause=str(error), fix="write for example 14d or 36h"
        ) from error


def _bytes(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(|[kMGT]i?)B?", text)
    if found is None:
        raise RefusedError("TIP116", f"{text!r} is no size", fix="write for example 500MB or 50GB")
    base = 1024 if found[2].endswith("i") else 1000
    return float(found[1]) * float(base ** " kMGT".index(found[2][:1] or " "))


def _count(text: str) -> float:
    if not (text.isascii() and text.isdigit()):
        raise RefusedError("TIP116", f"{text!r} is no number of entries", fix="write a whole number")
    return int(text)


def _row(judged: Judged) -> dict[str, object]:
    """An entry as ``--json`` prints it."""
    entry = judged.entry
    known = {} if entry.broken is not None or not entry.key else dict(entry.argo())
    more = {"run": entry.run, "size": entry.size + entry.data, "hits": entry.hits} if known else {}
    return {"cache": entry.cache, "key": entry.key, "problem": judged.problem, **known, **more}


def _matching(options: argparse.Namespace, store: Store) -> list[Judged]:
    from tiphys.reuse.judge import entries

    found = list(entries(store, prefix=options.key))
    if not found:
        raise RefusedError(
            "TIP294", f"no cache entry begins with {options.key!r}", fix="`tiphys cache ls` lists them"
        )
    return found


def cache_list(options: argparse.Namespace) -> int:
    from tiphys.reuse.judge import entries

    found = entries(local_store(options))
    if options.json:
        print_json([_row(judged) for judged in found])
        return 0
    now = time.time()
    rows = [
        (
            judged.entry.cache,
            judged.entry.key,
            *("" if at is None else seconds(now - at) for at in (judged.entry.created, judged.entry.hit)),
            judged.problem or "ok",
        )
        for judged in found
    ]
    sys.stdout.write(
        (table(("CACHE", "KEY", "AGE", "LAST USED", "STATE"), rows) if rows else "no entries") + "\n"
    )
    return 0


def cache_explain(options: argparse.Namespace) -> int:
    from tiphys.reuse.explain import explain
    from tiphys.runs import Client

    store, run = local_store(options), options.run
    if run:
        with Client(store=options.store) as client:
            run = client.full_name(run)
    found = explain(store, options.key, run)
    if not found:
        asked = f" in {run}" if run else ""
        raise RefusedError(
            "TIP294",
            f"no cache entry begins with {options.key!r}, and no step{asked} asked for one under that name",
            fix="`tiphys cache ls` lists the entries, `tiphys get RUN` the steps",
        )
    if options.json:
        print_json([_explained_row(each) for each in found])
    else:
        style = Style(sys.stdout)
        sys.stdout.write("\n".join(line for each in found for line in _explanation(each, style)) + "\n")
    return 0


def _explained_row(each: Explained) -> dict[str, object]:
    """The fields of ``cache ls --json``, and what only ``explain`` knows."""
    entry = {"cache": each.cache, "key": each.key, "problem": "there is no entry"}
    return {
        **(entry if each.found is None else _row(each.found)),
        "parts": dict(each.parts),
        "asked": None if each.asked is None else _use_row(each.asked),
        "nearest": None if each.nearest is None else {"key": each.nearest.key, "run": each.nearest.run},
        "differs": None if each.differs is None else each.differs._asdict(),
        "usedBy": [_use_row(use) for use in each.used],
    }


def _use_row(use: Lookup) -> dict[str, object]:
    from tiphys.argo.time import rfc3339

    return {"run": use.run, "step": use.step, "at": rfc3339(use.at), "hit": use.hit, "why": use.why}


def _explanation(each: Explained, style: Style) -> list[str]:
    from tiphys.argo.time import rfc3339

    lines = [style.bold(each.key) + f"  ({each.cache})"]

    def say(name: str, text: str) -> None:
        lines.append(f"  {name:10} {text}")

    if each.asked is not None:
        asked = each.asked
        answer = "hit" if asked.hit else f"not used: {asked.why}" if asked.why else "miss: there was no entry"
        who = " ".join(filter(None, (asked.run, asked.step)))
        say("asked", f"by {who} at {rfc3339(asked.at)}: {answer}")
    if each.found is None:
        say("state", style.yellow("there is no entry now"))
    else:
        entry, problem = each.found.entry, each.found.problem
        say("state", style.red(f"would not be used: {problem}") if problem else style.green("good"))
        made, used = ("?" if at is None else rfc3339(at) for at in (entry.created, entry.hit))
        say("made by", f"{entry.node or '?'}{f' of {entry.run}' if entry.run else ''} at {made}")
        say("last used", f"{used}, {entry.hits} hits")
    for use in each.used:
        say("used by", f"{use.run} {use.step}".rstrip() + f" at {rfc3339(use.at)}")
    for name, value in each.parts.items():
        say("key part", f"{name} = {value[:200]}")
    if each.nearest is not None and each.differs is not None:
        differs = each.differs
        here, there = ("none" if value is None else repr(value[:80]) for value in differs[1:])
        first = (
            f"{differs.name} is {here} here, {there} there"
            if differs.name
            else "no part that is known differs"
        )
        of = f" of {each.nearest.run}" if each.nearest.run else ""
        say("nearest", f"{each.nearest.key}{of}: {first}")
    if each.found is not None:
        for item in (each.found.entry.outputs or {}).get("parameters") or []:
            say("output", f"{item.get('name')} = {str(item.get('value', ''))[:200]}")
    return lines


def cache_remove(options: argparse.Namespace) -> int:
    from tiphys.reuse.entries import Entries

    store = local_store(options)
    wanted = [(judged.entry.cache, judged.entry.key) for judged in _matching(options, store)]
    with Entries(store) as entries:
        gone = [each for each in wanted if entries.remove(*each)]
    if options.json:
        print_json([{"cache": cache, "key": key} for cache, key in gone])
    else:
        sys.stdout.write("".join(f"removed {cache}/{key}\n" for cache, key in gone) or "nothing to remove\n")
    return 0


def cache_export(options: argparse.Namespace) -> int:
    from tiphys.compiler.emit import emit_all
    from tiphys.reuse.configmaps import configmaps
    from tiphys.reuse.entries import Entries

    made, said = [], []
    with Entries(local_store(options)) as entries:
        names = entries.names()
        if options.cache and options.cache not in names:
            raise RefusedError(
                "TIP294", f"there is no cache {options.cache!r}", fix="`tiphys cache ls` lists them"
            )
        for name in [options.cache] if options.cache else names:
            maps, words = configmaps(name, entries.all(name), names)
            made += maps
            said += words
    for word in said:
        sys.stderr.write(f"tiphys: {word}\n")
    if options.json:
        print_json({"apiVersion": "v1", "kind": "List", "items": made})
    else:
        sys.stdout.write(emit_all(made))
    return 0


def cache_import(options: argparse.Namespace) -> int:
    from tiphys.argo.reader import read_file
    from tiphys.reuse.configmaps import entries_in, maps_in
    from tiphys.reuse.entries import Entries

    found = maps_in((document.data for document in read_file(options.file)), str(options.file))
    given = [entries_in(config) for config in found]
    with Entries(local_store(options)) as entries:
        added = [(each[0].cache, len(each), entries.add(each)) for each in given if each]
    if options.json:
        print_json([{"cache": cache, "entries": all_, "added": new} for cache, all_, new in added])
    else:
        lines = [f"{cache}: {new} of {all_} entries are new" for cache, all_, new in added]
        sys.stdout.write("\n".join(lines or ["no entries"]) + "\n")
    return 0


def cache_limits(options: argparse.Namespace) -> int:
    from tiphys.reuse.entries import Entries
    from tiphys.reuse.limits import limits_of, set_limits

    with Entries(local_store(options)) as entries:
        limits = _limits(options, limits_of(entries))
        if limits != limits_of(entries):
            set_limits(entries, limits)
        count, size = entries.totals()
    if options.json:
        print_json({**dataclasses.asdict(limits), "entries": count, "bytes": size})
        return 0
    rows = [
        ("older than", "" if limits.older_than is None else seconds(limits.older_than), ""),
        ("not hit for", "" if limits.not_hit_for is None else seconds(limits.not_hit_for), ""),
        ("bytes", "" if limits.max_bytes is None else _amount(limits.max_bytes), _amount(size)),
        ("entries", "" if limits.max_entries is None else str(limits.max_entries), str(count)),
    ]
    text = table(("LIMIT", "AT", "NOW"), [(name, at or "none", now) for name, at, now in rows])
    sys.stdout.write(text + "\n")
    return 0


def cache_collect(options: argparse.Namespace) -> int:
    from tiphys.reuse.gc import collect
    from tiphys.reuse.limits import CacheLimits

    limits = _limits(options, CacheLimits())
    if limits == CacheLimits():
        limits = CacheLimits(not_hit_for=_duration("14d"))
    if options.cluster:
        gone = _of_cluster(options, limits)
    else:
        gone = collect(local_store(options), limits, dry_run=options.dry_run)
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
        lines.append(f"not all is looked at: {gone.held_by}")
    lines.append(f"{_amount(gone.size)} in all" if gone.size else "" if lines else "nothing to remove")
    sys.stdout.write("\n".join(line for line in lines if line) + "\n")
    return 0


def _of_cluster(options: argparse.Namespace, limits: CacheLimits) -> Garbage:
    from tiphys.reuse.gc import Garbage
    from tiphys.runs.cluster.caches import collect
    from tiphys.runs.cluster.config import kubernetes_transport
    from tiphys.runs.cluster.kubernetes import Kubernetes

    transport, namespace = kubernetes_transport(options.kubeconfig, options.context)
    with contextlib.closing(Kubernetes(transport)) as api:
        found = collect(api, options.namespace or namespace or "default", limits, dry_run=options.dry_run)
    return Garbage(found.entries, kept=found.kept)


def _amount(size: int) -> str:
    """Bytes for people: ``812 B``, ``3.4 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
