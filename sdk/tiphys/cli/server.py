"""``tiphys server``: the runs of a store behind the Kubernetes API."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_runner, add_store, images_of, local_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tiphys.engine.base.options import RunOptions
    from tiphys.server.process import Address

__all__ = ["add_address", "address_of", "register", "settings_of"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "server",
        help="answer argo and kubectl for the runs of this machine",
        description="Argo on this machine, without a cluster: argo and kubectl list, submit, watch and change the runs "
        "of a store (docs/server.md). It asks for a token, which is in the kubeconfig that it writes; what runs goes "
        "on when it ends.",
        epilog="example: tiphys server --image '*=host', then: export KUBECONFIG=.tiphys/server/kubeconfig; argo list",
    )
    add_address(parser)
    parser.add_argument(
        "--training",
        action="store_true",
        help="the training service, too (docs/training.md): its queue is the store's",
    )
    parser.add_argument(
        "--training-port", type=int, default=6823, help="of its gRPC; 0: a free one (%(default)s)"
    )
    parser.add_argument(
        "--training-rest-port", type=int, default=6824, help="of its REST; 0: a free one (%(default)s)"
    )
    parser.add_argument(
        "--new-token", action="store_true", help="make a token, print it and what users.toml is to have"
    )
    parser.set_defaults(handler=handle)


def add_address(parser: argparse.ArgumentParser) -> None:
    """The options of a server: its store, where it listens, and how what it is given runs."""
    add_store(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=6825, help="0: a free one (%(default)s)")
    parser.add_argument("-n", "--namespace", default="argo", help="the namespace of the runs (%(default)s)")
    parser.add_argument("--name", action="append", default=[], help="a name that clients call it by; repeat")
    parser.add_argument(
        "--tls-cert", default="", metavar="FILE", help="the certificate to answer with (default: its own)"
    )
    parser.add_argument("--tls-key", default="", metavar="FILE", help="its key")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="HTTP without TLS, behind something that encrypts (argo and kubectl send no token that way)",
    )
    add_runner(parser)


def settings_of(options: argparse.Namespace) -> RunOptions:
    """How what the server is given runs."""
    from tiphys.engine.base.options import RunOptions

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    return RunOptions(
        store=Path(options.store).absolute(),
        namespace=options.namespace,
        runner=options.runner,
        images=images_of(options.image),
    )


def address_of(options: argparse.Namespace) -> Address:
    """Where it listens."""
    from tiphys.server.process import Address

    return Address(
        options.host, options.port, tuple(options.name), options.tls_cert, options.tls_key, options.insecure
    )


def handle(options: argparse.Namespace) -> int:
    if options.new_token:
        from tiphys.training.pools import new_token

        token, digest = new_token()
        sys.stdout.write(
            f'{token}\ntoken = "{digest}"   # in server/users.toml of the store, below [users.NAME]\n'
        )
        return 0
    from tiphys.server.process import serve

    beside = [functools.partial(_training, options)] if options.training else []
    serve(settings_of(options), address_of(options), _report, beside=beside)
    return 0


@contextlib.asynccontextmanager
async def _training(options: argparse.Namespace) -> AsyncIterator[None]:
    """The training service. Raises TrainingServiceError TIP823, TIP824; ServingError TIP510."""
    from tiphys.cli.training_service import local_service
    from tiphys.training.server import answering, check_host, only_one

    store = local_store(options)
    with only_one(store):
        service = local_service(store, runner=options.runner, images=images_of(options.image))
        try:
            check_host(options.host, service)
            ports = options.training_port, options.training_rest_port
            async with answering(service, options.host, *ports) as told:
                sys.stdout.write(f"  training service: {told}\n")
                sys.stdout.flush()
                yield
        finally:
            service.close()


def _report(url: str, file: Path) -> None:
    sys.stdout.write(f"tiphys server on {url}\n  export KUBECONFIG={file}\n  argo list\n")
    sys.stdout.flush()
