"""``tiphys serve``: a TensorFlow-Serving-compatible model server with replicas behind a load balancer."""

from __future__ import annotations

import argparse
import sys
from typing import Any

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="serve a SavedModel over TensorFlow Serving's REST API",
        description="Serve the newest version below a model folder: replicas behind a load balancer, "
        "TensorFlow Serving's REST API. A new version is loaded and swapped in without a failed request.",
        epilog="example: tiphys serve .tiphys/volumes/tiphys/models/KEY --name fashion-mnist --replicas 2",
    )
    parser.add_argument("model_base_path", metavar="FOLDER", help="folder with numbered version folders")
    parser.add_argument("--name", default="model", help="model name in the URL (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (default: %(default)s)")
    parser.add_argument("--replicas", type=int, default=1, help="server processes (default: %(default)s)")
    parser.add_argument(
        "--policy", choices=("round-robin", "least-request"), default="round-robin", help="load balancing"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys import serving

    code: int = serving.serve_forever(
        options.model_base_path,
        name=options.name,
        host=options.host,
        port=options.port,
        replicas=options.replicas,
        policy=options.policy,
        report=lambda text: print(text, file=sys.stderr, flush=True),
    )
    return code
