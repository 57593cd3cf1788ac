"""``tiphys serve``: a TensorFlow-Serving-compatible model server with replicas behind a load balancer."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tiphys.cli._common import add_store, local_store
from tiphys.errors import RefusedError

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="serve a SavedModel over TensorFlow Serving's REST API",
        description="Serve the newest version below a model folder: replicas behind a load balancer, "
        "TensorFlow Serving's REST API. A new version is loaded and swapped in without a failed request. With "
        "--registry: what the registry of the store says, whenever it says something else; aliases are version labels.",
        epilog="example: tiphys serve .tiphys/volumes/tiphys/models/KEY --name fashion-mnist --replicas 2",
    )
    parser.add_argument(
        "model_base_path", metavar="FOLDER", nargs="?", help="folder with numbered version folders"
    )
    parser.add_argument("--registry", metavar="NAME", help="a model of the registry, which is followed")
    parser.add_argument(
        "--alias", default="champion", help="that answers who names no version (default: %(default)s)"
    )
    parser.add_argument("--name", help="model name in the URL (default: model; with --registry its own)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--grpc-port", type=int, metavar="PORT", help="gRPC on this port, too; each call is balanced"
    )
    parser.add_argument("--replicas", type=int, default=1, help="server processes (default: %(default)s)")
    parser.add_argument(
        "--policy",
        default="round-robin",
        metavar="POLICY",
        help="load balancing: round-robin, least-request, hash (by the client's address), hash:body, hash:body.FIELD "
        "or hash:HEADER "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--driver",
        default="auto",
        metavar="NAME",
        help="what balances: built-in, haproxy, envoy, or auto, which is HAProxy where it is installed and has the "
        "policy (default: %(default)s)",
    )
    parser.add_argument(
        "--no-batching",
        action="store_true",
        help="run each request by itself; else those that wait are run as one where the model takes any number of rows",
    )
    parser.add_argument(
        "--kserve-v1",
        action="store_true",
        help="tell of models and their readiness as KServe's V1 does (its V2 is there in any case)",
    )
    parser.add_argument(
        "--tls-cert", default="", metavar="FILE", help="answer HTTPS with this certificate (PEM)"
    )
    parser.add_argument(
        "--tls-key", default="", metavar="FILE", help="its key, where it is not in the same file"
    )
    parser.add_argument(
        "--token-file", default="", metavar="FILE", help="who asks needs the token in this file"
    )
    add_store(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys import serving

    if (options.model_base_path is None) == (options.registry is None):
        raise RefusedError(
            "TIP297", "what is to be served?", fix="give FOLDER, or --registry NAME: one of them"
        )
    if options.registry is not None and options.name not in (None, options.registry):
        raise RefusedError(
            "TIP297", f"{options.registry} is served under its own name", fix="leave --name out"
        )
    guard = serving.Guard.of_files(options.tls_cert, options.tls_key, options.token_file)
    source = None
    if options.registry is not None:
        from tiphys.runs.served import Followed

        source = Followed(local_store(options), options.registry, champion=options.alias, report=_report)
        options.model_base_path = str(source.folder)
    flags: list[str] = []
    if options.no_batching:
        flags.append("--tiphys_batching=false")
    if options.kserve_v1:
        flags.append("--tiphys_protocol=kserve-v1")
    code: int = serving.serve_forever(
        options.model_base_path,
        name=options.name or options.registry or "model",
        host=options.host,
        port=options.port,
        replicas=options.replicas,
        policy=options.policy,
        driver=options.driver,
        grpc_port=options.grpc_port,
        guard=guard,
        flags=flags,
        source=source,
        report=_report,
    )
    return code


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
