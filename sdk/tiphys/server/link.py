"""A link to the page of a server that runs, for who can read its token."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import time
from pathlib import Path

import requests

from tiphys.reference import contents
from tiphys.store.files import alone

__all__ = ["one_time_link"]

_PATIENCE = 10.0  # seconds of a request
_PERIOD = 0.05


def one_time_link(folder: Path, *, patience: float = 0.0) -> str:
    """A link that is good once, of the server that has its things in ``folder``; empty when none answers within
    ``patience`` seconds."""
    until = time.monotonic() + patience
    while True:
        if link := _asked(folder):
            return link
        if time.monotonic() >= until:
            return ""
        time.sleep(_PERIOD)


def _asked(folder: Path) -> str:
    if not (folder / "lock").exists():
        return ""
    with alone(folder / "lock") as mine:
        if mine is not None:  # nobody has the store: what the kubeconfig says is of yesterday
            return ""
    with contextlib.suppress(OSError, ValueError, LookupError, requests.RequestException):
        known = json.loads(contents(folder / "kubeconfig"))
        cluster, user = known["clusters"][0]["cluster"], known["users"][0]["user"]
        with tempfile.NamedTemporaryFile() as authority:
            authority.write(base64.b64decode(cluster.get("certificate-authority-data", "")))
            authority.flush()
            answer = requests.post(
                f"{cluster['server']}/ui/link",
                headers={"Authorization": f"Bearer {user['token']}"},
                verify=authority.name if "certificate-authority-data" in cluster else True,
                timeout=_PATIENCE,
            )
        answer.raise_for_status()
        return f"{cluster['server']}{answer.json()['path']}"
    return ""
