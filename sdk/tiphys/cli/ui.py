"""``tiphys ui``: the page of a store, or with ``--argo`` the Argo UI of it, in the browser."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from tiphys.cli.server import add_address, address_of, settings_of
from tiphys.errors import TiphysError

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "ui",
        help="the runs of this machine in the browser",
        description="Open the page of a store. Where a server runs on the store it is asked for a link; else one is "
        "started here, and ends with this command. The link is good once, for ten minutes. --argo: the Argo UI, "
        "by your own `argo server`, which ends with this command.",
        epilog="example: tiphys ui --image '*=host'",
    )
    add_address(parser)
    parser.add_argument("--no-browser", action="store_true", help="print the link, and open nothing")
    parser.add_argument("--argo", action="store_true", help="the Argo UI, by the program argo of the PATH")
    parser.add_argument("--argo-port", type=int, default=2746, help="where it listens (%(default)s)")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.server.link import one_time_link
    from tiphys.server.process import serve

    folder = Path(options.store).absolute() / "server"
    link = one_time_link(folder)
    with contextlib.ExitStack() as stack:
        if link:
            if options.argo:
                ended = threading.Event()
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, lambda *_: ended.set())
                _begin_argo(options, folder, stack)
                ended.wait()
            else:
                _show(link, opened=not options.no_browser)
            return 0

        def report(url: str, file: Path) -> None:
            sys.stdout.write(f"tiphys server on {url}\n")
            # it answers in a moment
            threading.Thread(target=begun, daemon=True).start()

        def begun() -> None:
            link = one_time_link(folder, patience=30.0)
            if not options.argo:
                _show(link, opened=not options.no_browser)
                return
            try:
                _begin_argo(options, folder, stack)
            except TiphysError as error:
                sys.stderr.write(f"tiphys: {error}\n")
                failed.set()
                os.kill(os.getpid(), signal.SIGTERM)

        failed = threading.Event()
        serve(settings_of(options), address_of(options), report)
        return 1 if failed.is_set() else 0


def _begin_argo(options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
    """Raises RefusedError TIP276."""
    from tiphys.server.argo_ui import argo_ui

    token = (folder / "token").read_text(encoding="utf-8").strip()
    url = stack.enter_context(argo_ui(folder / "kubeconfig", token, port=options.argo_port))
    sys.stdout.write(
        f"{url}\n  it asks for a token, which this prints:  echo Bearer $(cat {folder / 'token'})\n"
    )
    sys.stdout.flush()
    if not options.no_browser:
        webbrowser.open(url)


def _show(link: str, *, opened: bool) -> None:
    sys.stdout.write(f"{link}\n")
    sys.stdout.flush()
    if opened and link:
        webbrowser.open(link)
