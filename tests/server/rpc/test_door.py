"""gRPC is made ready with the first client, or it is told why it is not."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tests.lint.places import argo_binary
from tiphys.errors import RefusedError
from tiphys.server.rpc.door import Door


def test_without_argo_it_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = argo_binary()
    monkeypatch.setenv("PATH", str(tmp_path))

    async def run() -> None:
        door = Door(Starlette(), "localhost")
        with pytest.raises(RefusedError) as told:
            await door.socket()
        assert told.value.code == "TIP276"
        assert "ARGO_HTTP1=true" in (told.value.fix or "")
        (tmp_path / "argo").symlink_to(program)
        path, again = await asyncio.gather(door.socket(), door.socket())
        assert path == again
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        assert stat.S_IMODE(os.stat(Path(path).parent).st_mode) == 0o700
        await door.close()
        assert not Path(path).parent.exists()

    asyncio.run(run())


def test_what_is_never_asked_for_is_never_made() -> None:
    async def run() -> None:
        await Door(Starlette(), "localhost").close()

    asyncio.run(run())
