"""``tiphys train``: what a data scientist asks of the training service."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import assignments, print_json, seconds, table
from tiphys.errors import RefusedError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.training.client import TrainingClient
    from tiphys.training.job import TrainingJob

__all__ = ["add_service", "client_of", "register"]

_BAD = ("failure", "cancelled")


def add_service(parser: argparse.ArgumentParser) -> None:
    """Where the service is, and whether it is JSON that is wanted."""
    parser.add_argument(
        "--service", default="", metavar="HOST:PORT", help="default: TIPHYS_TRAINING, else localhost:6823"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def client_of(options: argparse.Namespace) -> TrainingClient:
    """The client of the service that the options name; its token is in TIPHYS_TRAINING_TOKEN."""
    from tiphys.training import Client

    return Client(options.service)


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "train",
        help="queue trainings at a training service, follow and cancel them",
        description="Trainings at a training service (`tiphys training-service`): any code, by its algorithm's name.",
        epilog="example: tiphys train submit cnn -p epochs=3 --model fashion-mnist --watch",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    submit = verbs.add_parser(
        "submit",
        help="queue a training; its number is printed",
        epilog="example: tiphys train submit cnn -p epochs=3 --model fashion-mnist",
    )
    submit.add_argument("algorithm", metavar="ALGORITHM")
    submit.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="repeat for several"
    )
    submit.add_argument("--name", default="", help="for people")
    submit.add_argument("--dataset", default="", metavar="ID", help="a name, or pvc://CLAIM/FOLDER")
    submit.add_argument("--version", default="", metavar="HASH", help="of the data set: sha256:…")
    submit.add_argument(
        "--model", default="", metavar="NAME", help="of the registry: it gets a version of it"
    )
    submit.add_argument("--pool", default="", help="default: your first")
    submit.add_argument("--priority", type=int, default=0, help="the higher comes first (%(default)s)")
    submit.add_argument("--request-id", default="", help="sent twice it is one job")
    submit.add_argument(
        "--watch", action="store_true", help="follow it to its end; exit code 1 when it failed"
    )
    submit.set_defaults(handler=_submit)

    for verb, handler, text in (
        ("status", _status, "how a job stands"),
        ("watch", _watch, "follow a job to its end; exit code 1 when it failed"),
        ("cancel", _cancel, "take a job out of the queue, or end it"),
        ("logs", _logs, "what its containers wrote"),
    ):
        found = verbs.add_parser(verb, help=text, epilog=f"example: tiphys train {verb} 7")
        found.add_argument("job", type=int, metavar="JOB")
        found.set_defaults(handler=handler)
        if verb == "logs":
            found.add_argument("-f", "--follow", action="store_true", help="until its end")

    listing = verbs.add_parser(
        "list",
        help="the jobs of your pools, the newest first",
        epilog="example: tiphys train list --status running",
    )
    listing.add_argument("--pool", default="")
    listing.add_argument("--user", default="")
    listing.add_argument(
        "--status", action="append", default=[], help="queuing, running, …; repeat for several"
    )
    listing.add_argument("--limit", type=int, default=50)
    listing.set_defaults(handler=_list)
    for each in {*verbs.choices.values()}:
        add_service(each)


def _submit(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        job = client.train(
            options.algorithm,
            name=options.name,
            dataset_id=options.dataset,
            dataset_version=options.version,
            parameters=assignments(options.parameter, "-p"),
            output_model_name=options.model,
            pool=options.pool,
            priority=options.priority,
            request_id=options.request_id,
        )
        if options.watch:
            return _follow(client, job.id, as_json=options.json)
        if options.json:
            print_json(_plain(client.status(job.id)))
        else:
            sys.stdout.write(f"{job.id}\n")
    return 0


def _status(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        job, position = client.standing(options.job)
    if options.json:
        print_json({**_plain(job), "position": position})
        return 0
    rows = [
        ("job", f"{job.id} {job.request.name}".rstrip()),
        ("status", _state(job) + (f", {position}. in the queue" if position else "")),
        ("why", job.message),
        ("cause", job.cause),
        ("algorithm", f"{job.request.algorithm}, version {job.algorithm_version}"),
        ("parameters", ", ".join(f"{key}={value}" for key, value in sorted(job.request.parameters.items()))),
        ("data set", f"{job.request.dataset_id} {job.request.dataset_version}".strip()),
        ("metrics", ", ".join(f"{key}={value:.6g}" for key, value in job.metrics.items())),
        ("model", job.model),
        ("pool", f"{job.pool}, of {job.user}"),
        ("workflow", f"{job.namespace}/{job.run}".lstrip("/")),
        ("time", _time(job)),
    ]
    sys.stdout.write("".join(f"{name:<11} {plain(text)}\n" for name, text in rows if text))
    return 0


def _watch(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        return _follow(client, options.job, as_json=options.json)


def _follow(client: TrainingClient, number: int, *, as_json: bool) -> int:
    job = None
    for job in client.watch(number):
        if not as_json:
            told = "  ".join(filter(None, (_state(job), _metrics(job), job.message, job.model)))
            sys.stdout.write(f"{number}  {plain(told)}\n")
            sys.stdout.flush()
    assert job is not None
    if as_json:
        print_json(_plain(job))
    return 1 if job.state.name in _BAD else 0


def _cancel(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        job = client.cancel(options.job)
    if options.json:
        print_json(_plain(job))
    else:
        sys.stdout.write(f"{job.id}  {plain(_state(job))}  {plain(job.message)}\n")
    return 0


def _logs(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        for source, text in client.logs(options.job, follow=options.follow):
            if options.json:
                print_json({"source": source, "text": text})
            else:
                sys.stdout.write(f"{plain(source)}: {plain(text)}\n")
                sys.stdout.flush()
    return 0


def _list(options: argparse.Namespace) -> int:
    from tiphys.training.job import JobState

    known = [each.name for each in JobState]
    for name in options.status:
        if name not in known:
            raise RefusedError("TIP297", f"{name!r} is no status of a job", fix=f"one of {', '.join(known)}")
    with client_of(options) as client:
        jobs = client.list(
            pool=options.pool,
            user=options.user,
            states=[JobState[name] for name in options.status],
            limit=options.limit,
        )
    if options.json:
        print_json([_plain(job) for job in jobs])
        return 0
    header = ("JOB", "STATUS", "ALGORITHM", "NAME", "USER", "POOL", "TIME", "METRICS", "MODEL")
    sys.stdout.write(table(header, _rows(jobs)) + "\n" if jobs else "no jobs\n")
    return 0


def _rows(jobs: Iterable[TrainingJob]) -> Iterable[tuple[str, ...]]:
    for job in jobs:
        yield (
            str(job.id),
            _state(job),
            f"{job.request.algorithm}@{job.algorithm_version}",
            job.request.name[:30],
            job.user,
            job.pool,
            _time(job),
            _metrics(job)[:40],
            job.model,
        )


def _state(job: TrainingJob) -> str:
    cause = f" ({job.cause})" if job.cause else ""
    return (
        job.state.name + (f" {job.progress}" if job.progress and job.state.name == "running" else "") + cause
    )


def _metrics(job: TrainingJob) -> str:
    return " ".join(f"{key}={value:.4g}" for key, value in list(job.metrics.items())[:4])


def _time(job: TrainingJob) -> str:
    """How long it runs or ran; before that, how long it waits."""
    if not job.launched:
        return seconds(max(0.0, (job.ended or time.time()) - job.created)) + " queued"
    return seconds(max(0.0, (job.ended or time.time()) - job.launched))


def _plain(job: TrainingJob) -> dict[str, object]:
    said = dataclasses.asdict(job)
    said.pop("cancelling")
    return {**said, "state": job.state.name}
