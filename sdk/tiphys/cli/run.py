"""``tiphys run``: execute Argo YAML on this machine."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import Style, add_parameters, parameters_of, print_json
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.cli.times import Times

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a pipeline or Argo YAML on this machine",
        description="Run a pipeline or any Argo workflow on this machine, with no cluster. A pipeline is "
        "compiled first: what runs is the YAML. Exit code: 0 Succeeded, 1 Failed or Error, 2 refused.",
        epilog="example: tiphys run pipelines/fashion_mnist.py -p epochs=3 -p serve=early",
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
    parser.add_argument("--runner", choices=("process", "sandbox", "docker"), default="process")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="GLOB=host",
        help="run images that match GLOB with this machine's programs; repeat for several",
    )
    parser.add_argument(
        "--with",
        dest="context",
        action="append",
        default=[],
        metavar="FILE",
        help="more YAML: ConfigMaps, Secrets, WorkflowTemplates that the workflow refers to",
    )
    parser.add_argument("--name", default="", help="the workflow's name (default: made from generateName)")
    parser.add_argument("--resume", metavar="NAME", help="go on with a run that was interrupted or killed")
    parser.add_argument("--keep-serving", action="store_true", help="leave model services running at the end")
    parser.add_argument("--logs", action="store_true", help="show what the steps write")
    parser.add_argument("--now", action="store_true", help="run a CronWorkflow once, at once")
    parser.set_defaults(handler=handle)

    parser = subparsers.add_parser(
        "stop-serving",
        help="stop the servers that --keep-serving left running",
        description="Stop the model servers and load balancers that `tiphys run --keep-serving` left running.",
        epilog="example: tiphys stop-serving --store .tiphys",
    )
    parser.add_argument("--store", default=".tiphys", metavar="DIR", help="the local store (%(default)s)")
    parser.set_defaults(handler=stop_serving)


def handle(options: argparse.Namespace) -> int:
    from tiphys.cli.times import Times
    from tiphys.engine import RunOptions, resume
    from tiphys.front import load_source, next_runs, run_source

    if bool(options.workflow) == bool(options.resume):
        raise RefusedError(
            "TIP297",
            "give either a workflow or --resume NAME",
            fix="for example: tiphys run pipeline.py, or tiphys run --resume NAME (`tiphys runs` lists them)",
        )
    source = None
    if options.workflow:
        source = load_source(options.workflow, parameters_of(options), options.context)
        if source.workflow["kind"] == "CronWorkflow" and not options.now:
            return _schedule(next_runs(source), options.json)
    progress = _progress(options)
    times = Times(progress)
    settings = RunOptions(
        store=options.store,
        runner=options.runner,
        images=_images(options.image),
        name=options.name,
        observer=times,
        follow_logs=options.logs or sys.stderr.isatty(),
        keep_serving=options.keep_serving,
    )
    try:
        result = run_source(source, settings) if source else resume(options.resume, options=settings)
    finally:
        progress.close()
    if options.json:
        print_json(result.workflow)
    else:
        _report(result, times)
    return int(result.exit_code)


def stop_serving(options: argparse.Namespace) -> int:
    from tiphys import engine

    runs = engine.stop_serving(options.store)
    sys.stdout.write("".join(f"stopped the services of {run}\n" for run in runs) or "nothing is serving\n")
    return 0


def _schedule(moments: list[datetime], as_json: bool) -> int:
    """The next times of a CronWorkflow."""
    texts = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments]
    if as_json:
        print_json(texts)
    else:
        sys.stdout.write("next runs:\n" + "".join(f"  {text}\n" for text in texts))
        sys.stdout.write("run it once now with --now\n")
    return 0


def _report(result: Any, times: Times) -> None:
    from tiphys.cli.summary import failures, summary

    style = Style(sys.stdout)
    sys.stdout.write(summary(result.workflow, times, style) + "\n")
    if not result.succeeded:
        text = failures(result.workflow, result.folder, Style(sys.stderr))
        sys.stderr.write(f"\n{text}\n\nlogs: {_relative(result.folder / 'logs')}\n")
    for service in result.services:
        sys.stdout.write(f"still serving {service.get('name')}: {service.get('url')}\n")
    if result.services:
        sys.stdout.write("stop them with: tiphys stop-serving\n")


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _progress(options: argparse.Namespace) -> Any:
    from tiphys.cli.progress import LineProgress, TableProgress

    if Style(sys.stderr).terminal and not options.logs:
        return TableProgress()
    return LineProgress(logs=options.logs)


def _images(items: list[str]) -> dict[str, str]:
    images = {}
    for item in items:
        pattern, equals, target = item.rpartition("=")
        if not equals or not pattern or not target:
            raise RefusedError(
                "TIP293",
                f"--image {item!r} is not GLOB=host",
                fix="write for example: --image 'alpine*=host'",
            )
        images[pattern] = target
    return images
