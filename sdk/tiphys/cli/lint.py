"""``tiphys lint``: check Argo YAML or pipelines, offline."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from tiphys.argo.version import ARGO_VERSIONS, NEWEST
from tiphys.cli._common import Style, add_parameters, parameters_of
from tiphys.garbage import settled

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "lint",
        help="check Argo YAML or a pipeline, offline",
        description="Check Argo YAML or pipelines as strictly as `argo lint`, and for what Argo finds only "
        "at run time. Files given together may refer to each other. A pipeline is compiled first: lines are "
        "those of its YAML. Exit code: 0 clean, 1 findings, 2 could not read.",
        epilog="example: tiphys lint workflow.yaml templates/",
    )
    parser.add_argument(
        "sources", nargs="+", metavar="FILE|PIPELINE", help="YAML, folders, path.py, module:object"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument("--fix", action="store_true", help="repair, in place, what has one right answer")
    parser.add_argument(
        "--select", action="append", default=[], metavar="CODE", help="only these rules (L3: all L3xx)"
    )
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE", help="not these rules")
    parser.add_argument(
        "--severity",
        choices=("error", "warning", "info"),
        help="the least that is shown and counts (default: warning; the formats for machines hold infos too)",
    )
    parser.add_argument(
        "--argo",
        choices=ARGO_VERSIONS,
        default=NEWEST,
        help="the version of Argo that it is for (default: the newest)",
    )
    add_parameters(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    with settled():
        from tiphys.lint import cli_main

        sources = [_source(source, options) for source in options.sources]
    return cli_main(
        sources,
        json=options.json,
        format=options.format,
        fix=options.fix,
        select=options.select,
        ignore=options.ignore,
        severity=options.severity,
        argo=options.argo,
        color=Style(sys.stdout).on,
    )


def _source(source: str, options: argparse.Namespace) -> Any:
    python = os.path.splitext(source)[1] == ".py"
    if os.path.isdir(source) or (not python and (os.path.exists(source) or ":" not in source)):
        return source
    from tiphys.compiler.load import load_with

    return source, load_with(source, parameters_of(options))[
        0
    ]  # the object itself: it knows its Python lines
