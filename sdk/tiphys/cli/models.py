"""``tiphys models``: names, versions and aliases of what is served; and the folders of models in the volumes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_cluster, assignments, local_store, print_json, table
from tiphys.errors import RefusedError
from tiphys.numbers import number
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.registry import ModelDocument, ModelVersion
    from tiphys.runs.registry import Registry

__all__ = ["list_folders", "register"]

_WHERE = (
    "With --local or --store: the registry of this machine's store. Else that of the namespace, in ConfigMaps, through "
    "the Kubernetes API of the kubeconfig. With neither of them: this machine."
)


def register(subparsers: Any) -> None:
    add = subparsers.add_parser(
        "models",
        help="the registry of models: versions, aliases, rollback; with no verb: the folders of models in the volumes",
        description="Which version of a model is served under which alias, and how it came to be. With no verb: every "
        f"sealed model in the volumes of the store. {_WHERE}",
        epilog="example: tiphys models alias fashion-mnist champion 3 --why 'accuracy 0.93'",
    )
    add.add_argument("--store", default=".tiphys", metavar="DIR", help="the local store (%(default)s)")
    add.add_argument("--json", action="store_true", help="print JSON")
    add.set_defaults(handler=list_folders)
    verbs = add.add_subparsers(dest="verb", metavar="VERB")

    _verb(verbs, "folders", _folders, "every sealed model in the volumes of the store", "folders", names=())
    _verb(verbs, "list", _list, "the models of the registry, and where their aliases are", "list", names=())
    _verb(verbs, "versions", _versions, "the versions of a model, the newest first", "versions fashion-mnist")
    _verb(verbs, "audit", _audit, "every change of aliases and weights", "audit fashion-mnist")
    made = _verb(
        verbs, "register", _register, "the next version of a model, by its folder",
        "register fashion-mnist pvc://tiphys/models/KEY", names=("name", "uri"),
    )  # fmt: skip
    made.add_argument("--digest", default="", help="of its manifest (on this machine it is read)")
    made.add_argument("--run", default="", help="the run that made it")
    made.add_argument(
        "--report", action="append", default=[], metavar="NAME=VALUE", help="repeat for several"
    )
    moved = _verb(
        verbs, "alias", _alias, "let an alias name a version", "alias fashion-mnist champion 3", changes=True,
        names=("name", "alias"),
    )  # fmt: skip
    moved.add_argument("version", nargs="?", type=int, metavar="VERSION")
    moved.add_argument("--delete", action="store_true", help="take the alias away")
    _verb(
        verbs, "rollback", _rollback, "put an alias back where it was before its last move",
        "rollback fashion-mnist champion", changes=True, names=("name", "alias"),
    )  # fmt: skip
    parts = _verb(
        verbs, "weights", _weights, "parts of a hundred requests, by version; with none: what they are",
        "weights fashion-mnist 3=90 4=10", changes=True,
    )  # fmt: skip
    parts.add_argument("weights", nargs="*", metavar="VERSION=PERCENT")
    parts.add_argument("--none", action="store_true", help="all go to the champion again")
    fallback = _verb(
        verbs, "default", _default, "the version that answers when what is served cannot",
        "default fashion-mnist 1", changes=True,
    )  # fmt: skip
    fallback.add_argument("version", nargs="?", type=int, metavar="VERSION")
    fallback.add_argument("--none", action="store_true", help="the one that was served before")


def _verb(
    verbs: Any,
    verb: str,
    handler: Callable[[Registry, argparse.Namespace], int],
    summary: str,
    example: str,
    *,
    changes: bool = False,
    names: tuple[str, ...] = ("name",),
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        verb,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {_WHERE}",
        epilog=f"example: tiphys models {example}",
    )
    for name in names:
        parser.add_argument(name, metavar=name.upper())
    if changes:
        parser.add_argument("--why", default="", help="for the audit")
    where = parser.add_argument_group("where")
    where.add_argument("--local", action="store_true", help="this machine, the store .tiphys")
    where.add_argument("--store", default=argparse.SUPPRESS, metavar="DIR", help="this machine, this store")
    add_cluster(where)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")

    def handle(options: argparse.Namespace) -> int:
        with _registry(options) as registry:
            return handler(registry, options)

    parser.set_defaults(handler=handle)
    return parser


@contextlib.contextmanager
def _registry(options: argparse.Namespace) -> Iterator[Registry]:
    """Of this machine, or of a cluster."""
    from tiphys.runs.registry import Registry

    if options.server:
        raise RefusedError(
            "TIP297",
            "an Argo Server knows nothing of the registry's ConfigMaps",
            fix="give --kubeconfig or --context; of this machine: --store",
        )
    if options.local or options.store != ".tiphys":
        yield Registry(options.store)
        return
    from tiphys.runs.cluster.config import configured, kubernetes_transport

    asked = options.kubeconfig or options.context or options.namespace
    if not asked and not configured({**os.environ, "ARGO_SERVER": ""}):
        yield Registry(options.store)
        return
    from tiphys.runs import Client

    transport, namespace = kubernetes_transport(options.kubeconfig, options.context)
    namespace = options.namespace or os.environ.get("ARGO_NAMESPACE") or namespace or "default"
    with Client.kubernetes(transport=transport, namespace=namespace) as client:
        yield Registry(client=client)


def list_folders(options: argparse.Namespace) -> int:
    from tiphys.records.models import models

    found = models(local_store(options))
    if options.json:
        print_json([dataclasses.asdict(model) for model in found])
        return 0
    rows = [
        (model.uri, ",".join(model.versions), model.digest[:19], model.problem or "ok") for model in found
    ]
    _print(("MODEL", "VERSIONS", "DIGEST", "STATE"), rows, "no models")
    return 0


def _folders(registry: Registry, options: argparse.Namespace) -> int:
    return list_folders(options)


def _list(registry: Registry, options: argparse.Namespace) -> int:
    found = [each for each in map(registry.read, registry.names()) if each.versions]
    if options.json:
        print_json([_told(each) for each in found])
        return 0
    rows = [(each.name, str(len(each.versions)), _aliases(each), _weights_of(each)) for each in found]
    _print(("MODEL", "VERSIONS", "ALIASES", "WEIGHTS"), rows, f"no models in {registry.place}")
    return 0


def _versions(registry: Registry, options: argparse.Namespace) -> int:
    document = registry.get(options.name)
    problems = {each.number: registry.problem(each) for each in document.versions}
    if options.json:
        print_json(
            [
                {**each.json(), "aliases": document.aliases_of(each.number), "problem": problems[each.number]}
                for each in document.versions
            ]
        )
        return 0
    rows = [
        (
            str(each.number),
            ",".join(document.aliases_of(each.number)),
            each.uri,
            each.digest[:19],
            each.run,
            " ".join(f"{key}={value}" for key, value in each.report.items()),
            each.at,
            problems[each.number] or "ok",
        )
        for each in reversed(document.versions)
    ]
    _print(("VERSION", "ALIASES", "MODEL", "DIGEST", "RUN", "REPORT", "SINCE", "STATE"), rows, "")
    return 0


def _audit(registry: Registry, options: argparse.Namespace) -> int:
    rows = registry.audit(options.name)
    if options.json:
        print_json([each.json() for each in rows])
        return 0
    cells = [
        (
            str(each.sequence), each.at, each.who, each.what, each.alias, _state(each.before), _state(each.after),
            each.why,
        )
        for each in rows
    ]  # fmt: skip
    _print(("NUMBER", "WHEN", "WHO", "WHAT", "ALIAS", "FROM", "TO", "WHY"), cells, "no changes")
    return 0


def _register(registry: Registry, options: argparse.Namespace) -> int:
    said: dict[str, float | str] = {}
    for key, text in assignments(options.report, "--report").items():
        value = number(text)
        said[key] = text if value is None else value
    made = registry.register(options.name, options.uri, digest=options.digest, run=options.run, report=said)
    _say(options, made.json(), f"{made.uri} is version {made.number} of {options.name}")
    return 0


def _alias(registry: Registry, options: argparse.Namespace) -> int:
    if (options.version is None) != options.delete:
        raise RefusedError(
            "TIP297",
            "which version is meant?",
            fix=f"tiphys models alias {options.name} {options.alias} VERSION",
        )
    return _moved(options, registry.alias(options.name, options.alias, options.version, why=options.why))


def _rollback(registry: Registry, options: argparse.Namespace) -> int:
    return _moved(options, registry.rollback(options.name, options.alias, why=options.why))


def _moved(options: argparse.Namespace, document: ModelDocument) -> int:
    state = document.aliases[options.alias]
    told = {"name": document.name, "alias": options.alias, "version": state.version}
    place = "nowhere" if state.version is None else f"version {state.version}"
    _say(options, {**told, "sequence": document.sequence}, f"{document.name}@{options.alias} is {place}")
    return 0


def _weights(registry: Registry, options: argparse.Namespace) -> int:
    if options.weights and options.none:
        raise RefusedError("TIP297", "weights, or --none?", fix="give one of them")
    if not options.weights and not options.none:
        document = registry.get(options.name)
    else:
        given = assignments(options.weights, "weights")
        if not all(word.isdecimal() for pair in given.items() for word in pair):
            raise RefusedError("TIP264", "weights are whole numbers", fix="for example: 3=90 4=10")
        parts = {int(number): int(part) for number, part in given.items()}
        document = registry.weights(options.name, parts, why=options.why)
    told = {str(number): part for number, part in document.weights.items()}
    _say(options, told, _weights_of(document) or f"all to {document.name}@champion")
    return 0


def _default(registry: Registry, options: argparse.Namespace) -> int:
    if (options.version is None) != options.none:
        raise RefusedError("TIP297", "which version is meant?", fix="give VERSION, or --none")
    document = registry.default(options.name, options.version, why=options.why)
    place = "the version before" if document.default is None else f"version {document.default}"
    _say(
        options,
        {"name": document.name, "default": document.default},
        f"{place} answers where the served cannot",
    )
    return 0


def _told(document: ModelDocument) -> dict[str, object]:
    newest: ModelVersion = document.versions[-1]
    return {
        "name": document.name,
        "versions": len(document.versions),
        "newest": newest.json(),
        "aliases": {name: state.version for name, state in document.aliases.items()},
        "weights": {str(number): part for number, part in document.weights.items()},
        "default": document.default,
        "sequence": document.sequence,
    }


def _aliases(document: ModelDocument) -> str:
    named = {name: state.version for name, state in document.aliases.items() if state.version is not None}
    return ",".join(f"{name}={version}" for name, version in sorted(named.items()))


def _weights_of(document: ModelDocument) -> str:
    return " ".join(f"{number}={part}" for number, part in sorted(document.weights.items()))


def _state(state: Any) -> str:
    if isinstance(state, dict):
        return " ".join(f"{number}={part}" for number, part in state.items())
    return "" if state is None else str(state)


def _say(options: argparse.Namespace, value: object, text: str) -> None:
    if options.json:
        print_json(value)
    else:
        print(plain(text))


def _print(header: tuple[str, ...], rows: Sequence[Sequence[str]], empty: str) -> None:
    sys.stdout.write((table(header, rows) if rows else empty) + "\n")
