"""What several commands share: -p parsing, colours, JSON printing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO, TypedDict

from tiphys.errors import RefusedError
from tiphys.terminal import plain

if TYPE_CHECKING:
    from tiphys.store import Store

__all__ = [
    "ClusterOptions",
    "Style",
    "add_cluster",
    "add_parameters",
    "add_runner",
    "add_store",
    "assignments",
    "cluster_of",
    "images_of",
    "local_store",
    "parameters_of",
    "print_json",
    "put",
    "seconds",
    "table",
]


def add_parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline; repeat for several",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", default=".tiphys", metavar="DIR", help="the local store (%(default)s)")


def add_runner(parser: argparse.ArgumentParser) -> None:
    """How containers run on this machine: :func:`images_of` reads ``--image``."""
    parser.add_argument(
        "--runner",
        choices=("process", "sandbox", "auto", "docker"),
        default="process",
        help="how steps run (%(default)s; docs/runners.md); auto: in the sandbox where there is one",
    )
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="GLOB=host",
        help="run images that match GLOB with this machine's programs; repeat for several",
    )


def add_cluster(parser: argparse._ActionsContainer) -> None:
    """The options that lead to a cluster: :func:`cluster_of` reads them."""
    parser.add_argument("-n", "--namespace", help="the namespace (default: ARGO_NAMESPACE or the context's)")
    parser.add_argument("--server", metavar="HOST:PORT", help="the Argo Server (default: ARGO_SERVER)")
    parser.add_argument("--token", help="the Argo Server's token (default: ARGO_TOKEN)")
    parser.add_argument("--ca-file", metavar="FILE", help="the CA bundle of the Argo Server's certificate")
    parser.add_argument("--insecure", action="store_true", default=None, help="do not check the certificate")
    parser.add_argument("--kubeconfig", metavar="FILE", help="use the Kubernetes API of this kubeconfig")
    parser.add_argument("--context", help="the kubeconfig's context")


class ClusterOptions(TypedDict):
    """What :class:`tiphys.Client` takes of them."""

    server: str | None
    token: str | None
    ca_file: str | None
    insecure: bool | None
    kubeconfig: str | None
    context: str | None
    namespace: str | None


def cluster_of(options: argparse.Namespace) -> ClusterOptions:
    """The options of :func:`add_cluster`."""
    return ClusterOptions(
        server=options.server,
        token=options.token,
        ca_file=options.ca_file,
        insecure=options.insecure,
        kubeconfig=options.kubeconfig,
        context=options.context,
        namespace=options.namespace,
    )


def put(text: str, output: str | None) -> None:
    """Write a text to the file of ``--output``, whole or not at all; without one, or for ``-``, to standard output."""
    if output and output != "-":
        from pathlib import Path

        from tiphys.compiler.output import write_atomically

        write_atomically(Path(output), text)
    else:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")


def local_store(options: argparse.Namespace) -> Store:
    """The store of ``--store``."""
    from tiphys.store import Store

    return Store(options.store)


def parameters_of(options: argparse.Namespace) -> dict[str, str]:
    """The ``-p`` options as a mapping. Raises RefusedError for one without ``=`` or given twice."""
    return assignments(options.parameter, "-p")


def assignments(texts: Iterable[str], flag: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. Raises RefusedError (TIP290, TIP291) as :func:`parameters_of`."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise RefusedError(
                "TIP290", f"{flag} {text!r} is not NAME=VALUE", fix=f"write for example: {flag} epochs=3"
            )
        if name in values:
            raise RefusedError("TIP291", f"parameter {name!r} is given twice", fix="give it once")
        values[name] = value
    return values


def images_of(items: list[str]) -> dict[str, str]:
    """The ``--image`` options as a mapping. Raises RefusedError TIP293."""
    images = {}
    for item in items:
        pattern, equals, target = item.rpartition("=")
        if not equals or not pattern or not target:
            raise RefusedError(
                "TIP293",
                f"--image {item!r} is not GLOB=host",
                fix="write for example: --image 'alpine*=host'",
            )
        images[pattern] = target
    return images


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def seconds(value: float) -> str:
    """A duration for people: ``0.4s``, ``12s``, ``3m05s``, ``1h02m``."""
    if value < 10:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Style:
    """ANSI colours where the stream is a terminal and NO_COLOR is not set."""

    def __init__(self, stream: TextIO) -> None:
        self.terminal = stream.isatty()
        self.on = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str, *codes: int) -> str:
        if not self.on or not codes:
            return text
        return f"\033[{';'.join(map(str, codes))}m{text}\033[0m"

    def bold(self, text: str) -> str:
        return self(text, 1)

    def dim(self, text: str) -> str:
        return self(text, 2)

    def red(self, text: str) -> str:
        return self(text, 31)

    def green(self, text: str) -> str:
        return self(text, 32)

    def yellow(self, text: str) -> str:
        return self(text, 33)

    def cyan(self, text: str) -> str:
        return self(text, 36)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns aligned to the left, two blanks apart."""
    lines = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
