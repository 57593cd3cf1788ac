"""The board of locks."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.server.page.visits import visitor
from tiphys.queue import Locks
from tiphys.store import Store


def test_who_holds_a_lock_and_who_waits(tmp_path: Path) -> None:
    with visitor(tmp_path) as client, contextlib.closing(Locks(Store(tmp_path).locks)):
        assert "Nothing is locked" in client.get("/ui/locks").text
