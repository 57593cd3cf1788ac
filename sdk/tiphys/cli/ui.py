"""``tiphys ui``: the page of a store, in the browser."""

from __future__ import annotations

import argparse
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from tiphys.cli.server import add_address, address_of, settings_of

__all__ = ["register"]


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "ui",
        help="the runs of this machine in the browser",
        description="Open the page of a store. Where a server runs on the store it is asked for a link; else one is "
        "started here, and ends with this command. The link is good once, for ten minutes.",
        epilog="example: tiphys ui --image '*=host'",
    )
    add_address(parser)
    parser.add_argument("--no-browser", action="store_true", help="print the link, and open nothing")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    from tiphys.server.link import one_time_link
    from tiphys.server.process import serve

    folder = Path(options.store).absolute() / "server"
    link = one_time_link(folder)
    if link:
        _show(link, opened=not options.no_browser)
        return 0

    def report(url: str, file: Path) -> None:
        sys.stdout.write(f"tiphys server on {url}\n")
        # it answers in a moment
        threading.Thread(target=begun, daemon=True).start()

    def begun() -> None:
        _show(one_time_link(folder, patience=30.0), opened=not options.no_browser)

    serve(settings_of(options), address_of(options), report)
    return 0


def _show(link: str, *, opened: bool) -> None:
    sys.stdout.write(f"{link}\n")
    sys.stdout.flush()
    if opened and link:
        webbrowser.open(link)
