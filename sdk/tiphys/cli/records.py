"""``tiphys records`` and ``artifacts``: what the runs of a store left."""

from __future__ import annotations

import argparse
from typing import Any

from tiphys.cli._common import add_cluster, add_store, cluster_of, print_json, table
from tiphys.cli.exports import add_export

__all__ = ["register"]


def register(subparsers: Any) -> None:
    common = argparse.ArgumentParser(add_help=False)
    add_store(common)
    common.add_argument("--json", action="store_true", help="print JSON")

    _register_artifacts(subparsers, common)
    _register_records(subparsers, common)


def _register_artifacts(subparsers: Any, common: argparse.ArgumentParser) -> None:
    artifacts = subparsers.add_parser(
        "artifacts", help="what steps used and made", epilog="example: tiphys artifacts find --kind models"
    )
    verbs = artifacts.add_subparsers(dest="verb", metavar="VERB", required=True)
    find = verbs.add_parser(
        "find",
        parents=[common],
        help="by digest, by URI, or by kind",
        epilog="example: tiphys artifacts find 'pvc://tiphys/models/*'",
    )
    find.add_argument(
        "pattern", nargs="?", default="", help="a digest or its beginning (sha256:…), or a URI, with * and ?"
    )
    find.add_argument(
        "--kind", default="", help="such as models or datasets: the folder of the volume it lies in"
    )
    find.set_defaults(handler=find_artifacts)


def _register_records(subparsers: Any, common: argparse.ArgumentParser) -> None:
    records = subparsers.add_parser(
        "records",
        help="the index of what runs left, by which `list --where`, `diff` and others answer",
        epilog="example: tiphys records sync --server localhost:2746",
    )
    verbs = records.add_subparsers(dest="verb", metavar="VERB", required=True)
    rebuild = verbs.add_parser(
        "rebuild", parents=[common], help="make the index anew", epilog="example: tiphys records rebuild"
    )
    rebuild.set_defaults(handler=rebuild_index)
    sync = verbs.add_parser(
        "sync",
        parents=[common],
        help="bring the index up to date, and keep the workflows of a cluster in it",
        description="Bring the index up to date. With a way to a cluster (or ARGO_SERVER): keep its workflows, too; "
        "what was kept stays when the cluster deletes it.",
        epilog="example: tiphys records sync --context staging --source staging",
    )
    sync.add_argument("--source", default="", help="how the cluster is called here (default: its address)")
    add_cluster(sync)
    sync.set_defaults(handler=sync_index)
    add_export(verbs)


def find_artifacts(options: argparse.Namespace) -> int:
    from tiphys.runs.records import Records

    found = Records(options.store).artifacts(options.pattern, kind=options.kind)
    if options.json:
        print_json([{"uri": item.uri, "digest": item.digest} for item in found])
    else:
        rows = [(item.uri, item.digest) for item in found]
        print(table(("ARTIFACT", "DIGEST"), rows) if rows else "no artifacts")
    return 0 if found else 1


def rebuild_index(options: argparse.Namespace) -> int:
    from tiphys.runs.records import Records

    count = Records(options.store).rebuild()
    if options.json:
        print_json({"runs": count})
    else:
        print(f"{count} runs")
    return 0


def sync_index(options: argparse.Namespace) -> int:
    from tiphys.runs import Client
    from tiphys.runs.cluster.config import configured
    from tiphys.runs.records import Records

    records, told = Records(options.store), dict[str, object]()
    if options.server or options.kubeconfig or options.context or configured():
        with Client(**cluster_of(options)) as client:
            source, kept = records.sync_cluster(client, options.source)
        told = {"source": source, "kept": kept}
    else:
        told = {"source": "local", "kept": records.sync()}
    if options.json:
        print_json(told)
    else:
        print(f"{told['kept']} of {told['source']} were new or had changed")
    return 0
