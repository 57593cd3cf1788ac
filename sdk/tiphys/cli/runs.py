"""``tiphys submit, list, get, watch, logs, wait, stop, …``: the verbs on real Argo, and on runs of this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.argo.cache_mode import CACHE_MODES
from tiphys.cli._common import (
    Style,
    add_cluster,
    add_parameters,
    assignments,
    cluster_of,
    parameters_of,
    print_json,
    seconds,
    table,
)
from tiphys.cli.execute import run_shown
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.engine import RunOptions, RunResult
    from tiphys.runs import Client, Result

__all__ = ["register"]

_CLUSTER = (
    "The cluster is the Argo Server of --server or ARGO_SERVER, else the Kubernetes API of the kubeconfig."
)
_WHERE = (
    "With --local or --store: a run of this machine (`tiphys run`), also one that another process runs. "
    f"Else a workflow of the cluster. {_CLUSTER} With neither of them: this machine."
)


def register(subparsers: Any) -> None:
    submit = _verb(
        subparsers,
        "submit",
        _submit,
        "submit a pipeline or Argo YAML to a cluster",
        "submit pipelines/fashion_mnist.py -p epochs=12 --watch",
        target=False,
    )
    submit.add_argument("workflow", metavar="FILE|PIPELINE", help="workflow.yaml, path.py or module:object")
    add_parameters(submit)
    submit.add_argument("--name", default="", help="a fixed name (default: a new one for each run)")
    submit.add_argument("-l", "--label", action="append", default=[], metavar="KEY=VALUE")
    submit.add_argument("--service-account", default="", metavar="NAME", help="what the pods run as")
    submit.add_argument(
        "--priority", type=int, help="order among workflows that wait for a lock (higher first)"
    )
    submit.add_argument(
        "--update-limits", action="store_true", help="set semaphore limits to the file's where they differ"
    )
    submit.add_argument(
        "--cache",
        choices=CACHE_MODES,
        default="auto",
        help="for this run: use earlier results (auto), compute and store (refresh), or neither read nor store (never)",
    )
    submit.add_argument(
        "--wait", action="store_true", help="wait for the end; exit 0 if it Succeeded, else 1"
    )
    submit.add_argument("--watch", action="store_true", help="show the tree until the end, then as --wait")
    submit.add_argument("--timeout", type=float, metavar="SECONDS", help="of --wait and --watch")

    listing = _verb(
        subparsers, "list", _list, "list the workflows of a namespace", "list --phase Running", target=False
    )
    listing.add_argument("-l", "--selector", default="", help="a label selector")
    listing.add_argument("--phase", action="append", default=[], help="only this phase; repeat for several")
    listing.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N")
    asked = listing.add_argument_group(
        "of the records (runs of this machine, and what `tiphys records sync` kept)"
    )
    asked.add_argument(
        "--where",
        default="",
        metavar="EXPR",
        help="such as: metrics.accuracy >= 0.9 and params.model == 'cnn'",
    )
    asked.add_argument(
        "--order-by",
        default="",
        metavar="NAME",
        help="started, name, metrics.NAME, …; -NAME: the highest first",
    )
    asked.add_argument(
        "--source", default="", help="only what came from there: local, or a cluster that was kept"
    )

    get = _verb(subparsers, "get", _get, "show a workflow and its nodes", "get @latest")
    get.add_argument(
        "--metrics",
        action="store_true",
        help="only what it measures, in Prometheus' text format (this machine)",
    )

    watch = _verb(
        subparsers, "watch", _watch, "follow a workflow as a live tree until its end", "watch @latest"
    )
    watch.add_argument("--timeout", type=float, metavar="SECONDS")

    wait = _verb(
        subparsers, "wait", _wait, "wait for the end; exit 0 if it Succeeded, else 1", "wait @latest"
    )
    wait.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after so long (exit 1)")

    logs = _verb(
        subparsers, "logs", _logs, "show the logs of all pods, training workers included", "logs @latest -f"
    )
    logs.add_argument("pod", nargs="?", default="", help="only this pod")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the workflow's end")
    logs.add_argument("-c", "--container", default="", help="only this container")
    logs.add_argument("--tail", type=int, default=0, metavar="N", help="only the last N lines of each")

    stop = _verb(subparsers, "stop", _stop, "stop a workflow; its exit handler runs", "stop @latest")
    stop.add_argument("--message", default="", help="with --node: why, for the record")
    _node(stop, "fail waiting suspend steps only, such as displayName=approve; the workflow goes on")
    _verb(
        subparsers,
        "terminate",
        _terminate,
        "end a workflow at once, without its exit handler, and clear up",
        "terminate @latest",
    )
    _verb(subparsers, "suspend", _suspend, "start nothing new in a workflow", "suspend @latest")
    resume = _verb(subparsers, "resume", _resume, "go on with a suspended workflow", "resume @latest")
    _node(resume, "only these, such as displayName=approve")
    resume.add_argument(
        "--output-parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="supply an output that the suspend step waits for (as `argo node set`; runs of this machine)",
    )
    retry = _verb(subparsers, "retry", _retry, "run again what failed, in the same workflow", "retry @latest")
    _again(retry)
    retry.add_argument("--restart-successful", action="store_true", help="with --node: also what succeeded")
    _node(retry, "such as displayName=evaluate")
    resubmit = _verb(subparsers, "resubmit", _resubmit, "submit a copy as a new workflow", "resubmit @latest")
    _again(resubmit)
    resubmit.add_argument("--memoized", action="store_true", help="take over the nodes that succeeded")
    _verb(subparsers, "delete", _delete, "delete a workflow and what it owns", "delete my-workflow-x7x2p")


def _again(parser: argparse.ArgumentParser) -> None:
    add_parameters(parser)
    parser.add_argument(
        "--logs", action="store_true", help="show what the steps write (runs of this machine: they run here)"
    )
    parser.add_argument(
        "--with",
        dest="secrets",
        action="append",
        default=[],
        metavar="FILE",
        help="YAML with Secrets that the run had and that are not where they were (runs of this machine)",
    )


def _node(parser: argparse.ArgumentParser, text: str) -> None:
    """The nodes to act on; the second name is that of the `argo` command."""
    parser.add_argument("--node", "--node-field-selector", default="", metavar="SELECTOR", help=text)


def _verb(
    subparsers: Any,
    name: str,
    handler: Callable[[Client, argparse.Namespace], int],
    summary: str,
    example: str,
    *,
    target: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {_WHERE if name != 'submit' else _CLUSTER}",
        epilog=f"example: tiphys {example}",
    )
    if target:
        parser.add_argument("name", metavar="NAME", help="the workflow's name, or @latest")
    where = parser.add_argument_group("where")
    if name != "submit":
        where.add_argument("--local", action="store_true", help="a run of this machine, of the store .tiphys")
        where.add_argument("--store", metavar="DIR", help="a run of this machine, of this store")
    add_cluster(where)
    parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(options: argparse.Namespace) -> int:
        from tiphys.runs import Client

        with Client(store=_store(options), **cluster_of(options)) as client:
            return handler(client, options)

    parser.set_defaults(handler=handle)
    return parser


def _store(options: argparse.Namespace) -> str | None:
    """The store if a run of this machine is meant, else None."""
    if getattr(options, "store", None):
        return str(options.store)
    if options.command == "submit" or options.server or options.kubeconfig or options.context:
        return None
    from tiphys.runs.cluster.config import configured

    return ".tiphys" if options.local or not configured() else None


def _submit(client: Client, options: argparse.Namespace) -> int:
    from tiphys.compiler.source import load_source
    from tiphys.errors import RefusedError
    from tiphys.runs.made_from import made_from

    labels = {}
    for text in options.label:
        key, equals, value = text.partition("=")
        if not equals:
            raise RefusedError(
                "TIP296", f"--label {text!r} is not KEY=VALUE", fix="write for example: -l team=ml"
            )
        labels[key] = value
    source = load_source(options.workflow, parameters_of(options))
    text, parameters = source.text, source.parameters
    made = client.submit(
        text,
        parameters=parameters,
        name=options.name,
        labels=labels,
        service_account=options.service_account,
        priority=options.priority,
        update_limits=options.update_limits,
        cache=options.cache,
        made_from=made_from(source.workflow, source.project),
    )
    for note in made.notes:
        sys.stderr.write(f"note: {note}\n")
    options.name = made.name
    if options.watch:
        return _watch(client, options)
    if options.wait:
        return _wait(client, options)
    if options.json:
        print_json(made.workflow)
    else:
        print(made.name)
    return 0


def _list(client: Client, options: argparse.Namespace) -> int:
    """Workflows, the newest first; or what the records say."""
    from tiphys.cli._tree import age

    if options.where or options.order_by or options.source:
        from tiphys.cli.asked import show_asked

        return show_asked(client, options)
    limit = 0 if options.phase else options.limit
    found = client.list(labels=options.selector, phases=options.phase, limit=limit, brief=not options.json)
    found = found[: options.limit or None]
    if options.json:
        print_json([item.workflow for item in found])
        return 0
    lines = [
        (
            item.record,
            item.phase,
            age(item.started),
            seconds(item.seconds) if item.started else "",
            item.progress,
            item.message.replace("\n", " ")[:80],
        )
        for item in found
    ]
    print(table(("NAME", "PHASE", "AGE", "TIME", "DONE", "MESSAGE"), lines) if lines else "no workflows")
    return 0


def _show(state: Result, options: argparse.Namespace) -> None:
    from tiphys.cli._tree import picture

    if options.json:
        print_json(state.workflow)
        return
    style = Style(sys.stdout)
    print("\n".join(picture(state, style)))
    for key, value in state.outputs.items():
        print(style.bold(key) + (":\n" if "\n" in value else ": ") + plain(value, len(value)))


def _get(client: Client, options: argparse.Namespace) -> int:
    from tiphys.cli import causes
    from tiphys.cli.asked import measured, own_store, record_shown

    if options.metrics:
        from tiphys.engine.runtime.metrics_file import run_metrics

        sys.stdout.write(run_metrics(own_store(client, "--metrics"), client.full_name(options.name)))
        return 0
    state = client.get(options.name)
    record = record_shown(client, state)
    if options.json:
        why = causes.as_json(record)
        print_json({**state.workflow, "causes": why} if why else state.workflow)
        return 0
    _show(state, options)
    style = Style(sys.stdout)
    for title, lines in (("causes", causes.lines(record)), ("metrics", measured(record))):
        if lines:
            print("\n".join([style.bold(title), *lines]))
    return 0


def _ended(state: Result, options: argparse.Namespace) -> int:
    if options.json:
        print_json(state.workflow)
        return 0 if state.succeeded else 1
    for failure in state.failures:
        sys.stderr.write(f"{failure.phase}: {plain(failure.name)}: {plain(failure.message)}\n")
    for key, value in state.outputs.items():
        print(f"{key}:{chr(10) if chr(10) in value else ' '}{plain(value, len(value))}")
    return 0 if state.succeeded else 1


def _watch(client: Client, options: argparse.Namespace) -> int:
    from tiphys.cli._tree import Picture

    shown = Picture(sys.stderr if options.json else sys.stdout)
    state = None
    for state in client.watch(options.name, timeout=options.timeout):
        shown.show(state)
    return _ended(state, options) if state is not None else 1


def _wait(client: Client, options: argparse.Namespace) -> int:
    state = client.wait(options.name, timeout=options.timeout)
    if not options.json:
        print(f"{state.name}  {state.phase}  {seconds(state.seconds)}  {plain(state.message)}".rstrip())
    return _ended(state, options)


def _logs(client: Client, options: argparse.Namespace) -> int:
    style = Style(sys.stdout)
    colours: dict[str, int] = {}
    lines = client.logs(
        options.name, follow=options.follow, pod=options.pod, container=options.container, tail=options.tail
    )
    for line in lines:
        if options.json:
            sys.stdout.write(_json_line(line))
        else:
            colour = colours.setdefault(line.source, 31 + len(colours) % 6)
            sys.stdout.write(f"{style(line.source + ' |', colour)} {line.text}\n")
        sys.stdout.flush()
    return 0


def _json_line(line: Any) -> str:
    import dataclasses
    import json

    return json.dumps(dataclasses.asdict(line), ensure_ascii=False) + "\n"


def _said(state: Result, options: argparse.Namespace, verb: str) -> int:
    if options.json:
        print_json(state.workflow)
    else:
        print(f"{state.name} {verb}")
    return 0


def _stop(client: Client, options: argparse.Namespace) -> int:
    state = client.stop(options.name, nodes=options.node, message=options.message)
    return _said(state, options, "goes on; the steps have failed" if options.node else "is being stopped")


def _terminate(client: Client, options: argparse.Namespace) -> int:
    state, cleared = client.terminate(options.name)
    if cleared is None:
        sys.stderr.write(
            "note: TFJobs and model servers of the run stay until it is deleted (or use --kubeconfig)\n"
        )
    for item in cleared or ():
        sys.stderr.write(f"deleted {item}\n")
    return _said(state, options, "is terminated")


def _suspend(client: Client, options: argparse.Namespace) -> int:
    return _said(client.suspend(options.name), options, "is suspended: nothing new starts")


def _resume(client: Client, options: argparse.Namespace) -> int:
    if options.output_parameter:
        client.supply(options.name, options.node, assignments(options.output_parameter, "--output-parameter"))
    return _said(client.resume(options.name, nodes=options.node), options, "goes on")


def _retry(client: Client, options: argparse.Namespace) -> int:
    if client.store is not None:
        from tiphys.engine import RunOptions
        from tiphys.engine.runtime.retry import prepare_retry

        def start(chosen: RunOptions) -> RunResult:
            return prepare_retry(
                client.full_name(options.name),
                options=chosen,
                parameters=parameters_of(options),
                restart_successful=options.restart_successful,
                selector=options.node,
            ).execute()

        settings = RunOptions(store=Path(client.store), secrets=options.secrets)
        return run_shown(start, settings, logs=options.logs, as_json=options.json)
    state = client.retry(
        options.name,
        parameters=parameters_of(options),
        restart_successful=options.restart_successful,
        nodes=options.node,
    )
    return _said(state, options, "runs again")


def _resubmit(client: Client, options: argparse.Namespace) -> int:
    if client.store is not None:
        from tiphys.engine import RunOptions
        from tiphys.engine.runtime.retry import prepare_resubmit
        from tiphys.runs.made_from import annotated
        from tiphys.store import Store

        def start(chosen: RunOptions) -> RunResult:
            return prepare_resubmit(
                client.full_name(options.name),
                options=chosen,
                parameters=parameters_of(options),
                memoized=options.memoized,
                told=partial(annotated, store=Store(chosen.store)),
            ).execute()

        settings = RunOptions(store=Path(client.store), secrets=options.secrets)
        return run_shown(start, settings, logs=options.logs, as_json=options.json)
    made = client.resubmit(options.name, parameters=parameters_of(options), memoized=options.memoized)
    if options.json:
        print_json(made.workflow)
    else:
        print(made.name)
    return 0


def _delete(client: Client, options: argparse.Namespace) -> int:
    client.delete(options.name)
    if not options.json:
        print(f"{options.name} deleted")
    return 0
