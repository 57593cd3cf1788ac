"""``tiphys graph``: the whole planned graph, before anything runs."""

from __future__ import annotations

import argparse
from typing import Any

from tiphys.cli._common import add_parameters, parameters_of, put
from tiphys.garbage import settled

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "graph",
        help="draw the planned graph",
        description="Draw the whole planned graph of a pipeline or of Argo YAML, before anything runs.",
        epilog="example: tiphys graph pipelines/fashion_mnist.py --format svg -o graph.svg",
    )
    parser.add_argument("pipeline", metavar="FILE|PIPELINE")
    parser.add_argument("--format", choices=("mermaid", "svg", "html"), default="mermaid")
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
    add_parameters(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    with settled():
        from tiphys import graph
        from tiphys.compiler.source import load_source

        source = load_source(options.pipeline, parameters_of(options))
    text = graph.render(source.workflow, format=options.format)
    put(text, options.output)
    return 0
