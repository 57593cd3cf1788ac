"""``tiphys algorithms``: training code by a name, at a training service."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.argo.time import rfc3339
from tiphys.cli._common import assignments, print_json, table
from tiphys.cli.train import add_service, client_of
from tiphys.errors import RefusedError, TrainingServiceError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.training.job import Algorithm

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "algorithms",
        help="name training code at a training service",
        description="An algorithm is an image, what it runs, and whose environment variables it reads. Each change is "
        "a new version; jobs that are queued keep theirs.",
        epilog="example: tiphys algorithms create cnn --image pytorch/pytorch:2.9 --command python train.py",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in ("create", "update"):
        made = verbs.add_parser(
            verb,
            help=f"{verb} an algorithm, or a file of one (TOML)",
            epilog=f"example: tiphys algorithms {verb} cnn --image registry/cnn:1 --command python train.py",
        )
        made.add_argument("name", nargs="?", default="", metavar="NAME")
        made.add_argument(
            "-f", "--file", metavar="FILE", help="the fields as TOML; what is given here comes first"
        )
        made.add_argument("--image")
        made.add_argument("--kind", help="container (default), tfjob, pytorchjob or jobset")
        made.add_argument("--workers", type=int)
        made.add_argument("--profile", help="tiphys (default), book, sagemaker or vertex")
        made.add_argument("--cpu", help="of each worker")
        made.add_argument("--memory", help="of each worker")
        made.add_argument("--gpus", type=int, help="of each worker")
        made.add_argument("--retries", type=int, help="after what is no fault of the code")
        made.add_argument("--deadline", help="default: 24h")
        made.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
        made.add_argument(
            "--secret", action="append", default=[], metavar="NAME=SECRET/KEY", help="a variable of a Secret"
        )
        made.add_argument(
            "--command", dest="words", nargs=argparse.REMAINDER, metavar="WORD", help="the rest of the line"
        )
        made.set_defaults(handler=_make)
    listing = verbs.add_parser(
        "list",
        help="the newest version of each; of one name all versions",
        epilog="example: tiphys algorithms list cnn",
    )
    listing.add_argument("name", nargs="?", default="", metavar="NAME")
    listing.set_defaults(handler=_list)
    for each in verbs.choices.values():
        add_service(each)


def _make(options: argparse.Namespace) -> int:
    with client_of(options) as client:  # which says when gRPC is not installed
        algorithm = _asked(options)
        made = (client.create_algorithm if options.verb == "create" else client.update_algorithm)(algorithm)
    if options.json:
        print_json(dataclasses.asdict(made))
    else:
        sys.stdout.write(f"{plain(made.name)}, version {made.version}\n")
    return 0


def _asked(options: argparse.Namespace) -> Algorithm:
    """What the file says, and what is given beside it. Raises RefusedError TIP297."""
    from tiphys.training.convert import algorithm_from

    said: dict[str, object] = {}
    if options.file:
        try:
            said = tomllib.loads(Path(options.file).read_text(encoding="utf-8"))
        except ValueError as error:
            raise _refused(f"{options.file}: {error}") from None
    for key in ("image", "kind", "workers", "profile", "cpu", "memory", "gpus", "retries", "deadline"):
        if (value := getattr(options, key)) is not None:
            said[key] = value
    if options.name:
        said["name"] = options.name
    if options.words:
        said["command"] = options.words
    for key, given, flag in (("env", options.env, "--env"), ("secrets", options.secret, "--secret")):
        if given:
            there = said.get(key, {})
            said[key] = {**(there if isinstance(there, dict) else {}), **assignments(given, flag)}
    if "secrets" in said:
        said["secrets"] = [_secret(name, place) for name, place in _table(said["secrets"]).items()]
    if not said.get("name"):
        raise RefusedError("TIP297", "which algorithm?", fix="tiphys algorithms create NAME --image IMAGE")
    try:
        return algorithm_from(said)
    except TrainingServiceError as error:
        raise _refused(f"{options.file}: {error.message}" if options.file else error.message) from None


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _refused("secrets: that is no table of NAME = SECRET/KEY")
    return value


def _secret(variable: str, place: object) -> dict[str, str]:
    secret, slash, key = str(place).partition("/")
    if not slash:
        raise _refused(f"{variable}={place} is not NAME=SECRET/KEY")
    return {"variable": variable, "secret": secret, "key": key}


def _refused(problem: str) -> RefusedError:
    return RefusedError("TIP297", problem, fix="docs/training.md has an example of an algorithm")


def _list(options: argparse.Namespace) -> int:
    with client_of(options) as client:
        found = client.algorithms(options.name)
    if options.json:
        print_json([dataclasses.asdict(each) for each in found])
        return 0
    rows = [
        (
            each.name,
            str(each.version),
            each.kind if each.workers == 1 else f"{each.kind}, {each.workers} workers",
            each.profile,
            each.image,
            " ".join(each.command)[:40],
            rfc3339(each.created),
        )
        for each in found
    ]
    header = ("NAME", "VERSION", "KIND", "PROFILE", "IMAGE", "COMMAND", "SINCE")
    sys.stdout.write(table(header, rows) + "\n" if rows else "no algorithms\n")
    return 0
