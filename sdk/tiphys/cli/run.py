"""``tiphys run``: execute Argo YAML on this machine."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.argo.cache_mode import CACHE_MODES
from tiphys.argo.version import ARGO_VERSIONS, NEWEST
from tiphys.cli._common import add_parameters, add_runner, add_store, images_of, parameters_of, print_json
from tiphys.cli.execute import run_shown
from tiphys.errors import RefusedError
from tiphys.garbage import settled

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.compiler.source import Source
    from tiphys.engine import RunOptions, RunResult

__all__ = ["register"]

# What a run has from its beginning
_OF_THE_RUN = {
    "argo": "the version of Argo",
    "cache": "the way to use caches",
    "strict_values": "the way to read values",
}


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a pipeline or Argo YAML on this machine",
        description="Run a pipeline or any Argo workflow on this machine, with no cluster. A pipeline is "
        "compiled first: what runs is the YAML. Exit code: 0 Succeeded, 1 Failed or Error, 2 refused.",
        epilog="example: tiphys run pipelines/fashion_mnist.py -p epochs=12 -p serve=early",
    )
    parser.add_argument(
        "workflow", nargs="?", metavar="FILE|PIPELINE", help="workflow.yaml, path.py or module:object"
    )
    add_parameters(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the final Workflow object and nothing else"
    )
    parser.add_argument(
        "--store", default=".tiphys", metavar="DIR", help="records, caches and volumes (%(default)s)"
    )
    add_runner(parser)
    parser.add_argument(
        "--network",
        choices=("run", "host", "none"),
        default="",
        help="run: steps reach one another and the internet, not what listens here (usual in the sandbox); host: all; "
        "none: each container has a loopback of its own and nothing else (sandbox, docker)",
    )
    parser.add_argument(
        "--gpus",
        default="all",
        metavar="N|LIST",
        help="the GPUs that steps may have (nvidia.com/gpu): how many (2; 0: none), or numbers and UUIDs as nvidia-smi "
        "-L has them (0,3; one: 3,); usual: all that CUDA_VISIBLE_DEVICES leaves. A step has its own, or waits",
    )
    parser.add_argument(
        "--with",
        dest="context",
        action="append",
        default=[],
        metavar="FILE",
        help="more YAML: ConfigMaps, Secrets, WorkflowTemplates that the workflow refers to",
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME/KEY=FILE",
        help="a key of a Secret: the content of FILE, or a variable (NAME/KEY=env:VARIABLE); NAME=DIR has a file for "
        "each key, NAME=FILE.env a line KEY=value; repeat for several",
    )
    parser.add_argument("--name", default="", help="the workflow's name (default: made from generateName)")
    parser.add_argument("--resume", metavar="NAME", help="go on with a run that was interrupted or killed")
    parser.add_argument("--keep-serving", action="store_true", help="leave model services running at the end")
    parser.add_argument(
        "--detach",
        action="store_true",
        help="print the run's name and leave it to a process of its own: watch, logs and stop follow it",
    )
    parser.add_argument("--logs", action="store_true", help="show what the steps write")
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="drop fields that Argo does not have, as `kubectl apply` does, instead of refusing them",
    )
    parser.add_argument(
        "--argo",
        choices=ARGO_VERSIONS,
        help="the version of Argo to behave as (default: the newest; a run that goes on keeps its own)",
    )
    parser.add_argument(
        "--cache",
        choices=CACHE_MODES,
        help="for this run: use earlier results (auto), compute and store (refresh), or neither read nor store (never)",
    )
    parser.add_argument(
        "--strict-values",
        action="store_true",
        help="refuse a value that a step wrote, or -p gives, where Argo would evaluate a {{tag}} in it once more",
    )
    parser.add_argument("--now", action="store_true", help="run a CronWorkflow once, at once")
    parser.set_defaults(handler=handle)

    parser = subparsers.add_parser(
        "stop-serving",
        help="stop the servers that --keep-serving left running",
        description="Stop the model servers and load balancers that `tiphys run --keep-serving` left running.",
        epilog="example: tiphys stop-serving --store .tiphys",
    )
    add_store(parser)
    parser.set_defaults(handler=stop_serving)


def handle(options: argparse.Namespace) -> int:
    if options.detach:  # another process runs it
        return _handle(options)
    from tiphys.engine.runners.keeper import begun_ahead

    with begun_ahead():
        return _handle(options)


def _handle(options: argparse.Namespace) -> int:
    with settled():
        from tiphys.engine import RunOptions, resume
        from tiphys.engine.runners.gpus import read_choice
        from tiphys.runs.start import next_runs, run_source

        source = _source(options)
    if source is not None and source.workflow["kind"] == "CronWorkflow" and not options.now:
        return _schedule(next_runs(source), options.json)
    settings = RunOptions(
        store=options.store,
        runner=options.runner,
        network=options.network,
        gpus=read_choice(options.gpus),
        images=images_of(options.image),
        name=options.name,
        keep_serving=options.keep_serving,
        strict=not options.lenient,
        argo=options.argo or NEWEST,
        strict_values=options.strict_values,
        secrets=options.context if options.resume else (),
    )
    if options.detach:
        return _detached(options, source.workflow if source else None)

    def start(chosen: RunOptions) -> RunResult:
        if source is None:
            return resume(options.resume, options=chosen)
        return run_source(source, chosen, cache=options.cache or "auto")

    return run_shown(start, settings, logs=options.logs, as_json=options.json)


def _source(options: argparse.Namespace) -> Source | None:
    """What is to run; None: a run goes on. Raises RefusedError TIP297 for what does not go together."""
    from tiphys.compiler.source import load_source
    from tiphys.runs.given_secrets import given_secrets

    if bool(options.workflow) == bool(options.resume):
        raise RefusedError(
            "TIP297",
            "give either a workflow or --resume NAME",
            fix="for example: tiphys run pipeline.py, or tiphys run --resume NAME (`tiphys list --local` lists them)",
        )
    if options.workflow:
        source = load_source(options.workflow, parameters_of(options), options.context)
        return replace(source, context=[*source.context, *given_secrets(options.secret)])
    for flag, what in _OF_THE_RUN.items():
        if getattr(options, flag):
            raise RefusedError(
                "TIP297",
                f"--{flag.replace('_', '-')} is of no use with --resume: a run keeps {what} that it began with",
                fix="leave it out, or run the workflow anew",
            )
    if options.secret:
        raise RefusedError(
            "TIP297",
            "--secret is of no use with --resume",
            fix="give a file of YAML with the Secrets that it shall go on with: --with FILE",
        )
    return None


def _detached(options: argparse.Namespace, workflow: Workflow | None) -> int:
    """Leave the run to an engine of its own, and say its name; without a workflow a run is resumed."""
    from tiphys.engine import new_name
    from tiphys.runs.local import detach

    if workflow is None:
        name = options.resume
        words = ["run", "--resume", name]
    else:
        name = options.name or new_name(workflow)
        words = ["run", options.workflow, "--name", name]
    words += ["--store", str(Path(options.store).absolute()), "--runner", options.runner]
    words += ["--network", options.network] if options.network else []
    words += [f"--gpus={options.gpus}"]
    for flag in _OF_THE_RUN:
        if value := getattr(options, flag):
            words += [f"--{flag.replace('_', '-')}", *([value] if value is not True else [])]
    for flag, values in (
        ("-p", options.parameter),
        ("--image", options.image),
        ("--with", options.context),
        ("--secret", options.secret),
    ):
        for value in values:
            words += [flag, value]
    words += [
        f"--{flag.replace('_', '-')}"
        for flag in ("keep_serving", "lenient", "logs", "now")
        if getattr(options, flag)
    ]
    detach(words, name, options.store, resumed=workflow is None)
    if options.json:
        from tiphys.runs import Client

        print_json(Client(store=options.store).get(name).workflow)
    else:
        sys.stdout.write(name + "\n")
    return 0


def stop_serving(options: argparse.Namespace) -> int:
    from tiphys import engine

    runs = engine.stop_serving(options.store)
    sys.stdout.write("".join(f"stopped the services of {run}\n" for run in runs) or "nothing is serving\n")
    return 0


def _schedule(moments: list[str], as_json: bool) -> int:
    """The next times of a CronWorkflow."""
    if as_json:
        print_json(moments)
    else:
        sys.stdout.write("next runs:\n" + "".join(f"  {moment}\n" for moment in moments))
        sys.stdout.write("run it once now with --now\n")
    return 0
