"""``tiphys compile``: a pipeline to Argo YAML."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tiphys.cli._common import add_parameters, parameters_of, put
from tiphys.garbage import settled

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "compile",
        help="write the Argo YAML of a pipeline",
        description="Write the Argo YAML of a pipeline: the same bytes every time.",
        epilog="example: tiphys compile pipelines/fashion_mnist.py -o fashion-mnist.yaml",
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="path.py, or module:object")
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit 1 when FILE differs from what would be written",
    )
    add_parameters(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    with settled():
        from tiphys.compiler.compile import to_yaml
        from tiphys.compiler.load import load

        pipeline = load(options.pipeline, parameters_of(options))
    text = to_yaml(pipeline)
    if options.check:
        path = Path(options.output or "")
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if not same:
            sys.stderr.write(f"tiphys: {path} is not what {options.pipeline} compiles to\n")
        return 0 if same else 1
    put(text, options.output)
    return 0
