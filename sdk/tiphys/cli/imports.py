"""``tiphys import``: a first pipeline in Python, from Argo YAML or from KFP."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tiphys.cli._common import put
from tiphys.terminal import plain

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "import",
        help="write a first pipeline from Argo YAML or from KFP",
        description="Write the Python of a first pipeline. What has no word in Tiphys stays in the words of the "
        "source, or is left out, and is told on standard error with its line.",
        epilog="example: tiphys import argo flow.yaml -o flow.py",
    )
    parser.add_argument("tool", choices=("argo", "kfp"), help="who wrote FILE")
    parser.add_argument(
        "file", metavar="FILE", help="argo: YAML of workflows; kfp: the YAML of kfp's compiler, or its Python"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--quiet", action="store_true", help="tell only what is kept or left out")
    parser.add_argument("--strict", action="store_true", help="exit 1 when something is kept or left out")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.importing import import_argo, import_kfp

    made = import_argo(options.file) if options.tool == "argo" else import_kfp(options.file)
    put(made.source, options.output)
    for each in made.told:
        if not options.quiet or each.kind in ("kept", "dropped"):
            sys.stderr.write(plain(each.text(options.file), 2000) + "\n")
    return 1 if options.strict and not made.whole else 0
