"""``tiphys training-service``: the process that queues trainings and has them run."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_runner, add_store, images_of, local_store
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiphys.engine.base.options import RunnerName
    from tiphys.store.layout import Store
    from tiphys.training.job import TrainingJob
    from tiphys.training.service import TrainingService

__all__ = ["local_service", "register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "training-service",
        help="queue trainings of any code, and run them here or on a cluster",
        description="A queue of trainings behind gRPC and REST (docs/training.md). What it has answered is on the "
        "disk; killed and started again it goes on. Pools, users and tokens are in training.toml of the store.",
        epilog="example: tiphys training-service --image '*=host'",
    )
    add_store(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=6823, help="of gRPC; 0: a free one (%(default)s)")
    parser.add_argument("--rest-port", type=int, default=6824, help="of REST; 0: a free one (%(default)s)")
    parser.add_argument(
        "--rules", metavar="DIR", help="where training.toml and queue.toml are (default: the store)"
    )
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="run jobs on the cluster of the kubeconfig, not on this machine",
    )
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="with --cluster: KUBECONFIG, else ~/.kube/config"
    )
    parser.add_argument("--context", metavar="NAME", help="with --cluster: a context of the kubeconfig")
    parser.add_argument(
        "--step-image", default="", metavar="IMAGE", help="of the steps before and after a training"
    )
    add_runner(parser)
    parser.add_argument(
        "--new-token", action="store_true", help="make a token, print it and what training.toml is to have"
    )
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.training.pools import new_token

    if options.new_token:
        token, digest = new_token()
        sys.stdout.write(f'{token}\ntoken = "{digest}"   # in training.toml, below [users.NAME]\n')
        return 0
    from tiphys.training.server import only_one, serve

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    store = local_store(options)
    with only_one(store):
        service = _service(options)
        serve(service, host=options.host, port=options.port, rest_port=options.rest_port, report=_report)
    return 0


def _service(options: argparse.Namespace) -> TrainingService:
    store = local_store(options)
    rules = Path(options.rules) if options.rules else None
    if options.cluster:
        from tiphys.runs.client import Client
        from tiphys.runs.cluster.config import kubernetes_transport
        from tiphys.runs.cluster.kubernetes import Kubernetes
        from tiphys.runs.registry import Registry
        from tiphys.training.cluster import ClusterPlace
        from tiphys.training.models import registration

        transport, namespace = kubernetes_transport(options.kubeconfig, options.context)
        api = Kubernetes(transport)

        def there(job: TrainingJob) -> Registry:
            return Registry(client=Client(backend=api, namespace=job.namespace), who=job.user)

        return _made(store, rules, options.step_image)(
            ClusterPlace(api),
            namespace=namespace or "default",
            period=2.0,
            register=registration(there),
        )
    if options.kubeconfig or options.context:
        raise RefusedError(
            "TIP297", "--kubeconfig and --context say which cluster", fix="give --cluster, too, or neither"
        )
    images = images_of(options.image)
    return local_service(
        store, runner=options.runner, images=images, rules=rules, step_image=options.step_image
    )


def local_service(
    store: Store,
    *,
    runner: RunnerName,
    images: dict[str, str],
    rules: Path | None = None,
    step_image: str = "",
) -> TrainingService:
    """A service whose jobs run on this machine, with the packages of this folder."""
    from tiphys.runs.registry import Registry
    from tiphys.training.local import LocalPlace
    from tiphys.training.models import registration

    place = LocalPlace(store, runner=runner, images=images, project=Path.cwd())
    register = registration(lambda job: Registry(store.root, who=job.user))
    return _made(store, rules, step_image)(place, register=register)


def _made(store: Store, rules: Path | None, step_image: str) -> Callable[..., TrainingService]:
    from functools import partial

    from tiphys.training.folders import WorkflowSettings
    from tiphys.training.service import TrainingService
    from tiphys.training.workflow import workflow_of

    named = {"step_image": step_image} if step_image else {}
    make = partial(workflow_of, settings=WorkflowSettings(**named))
    return partial(TrainingService, store, rules=rules, make=make)


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
