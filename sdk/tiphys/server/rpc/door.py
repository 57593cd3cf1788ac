"""gRPC is made ready when the first client speaks it: its library takes a third of a second to import, and the messages
are read from the user's ``argo``."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from tiphys.server.rpc.front import Front
    from tiphys.server.rpc.schema import Method

__all__ = ["Door"]


class Door:
    """Leads to gRPC in front of ``application``, whose requests are for ``host``. ``program``: the ``argo`` that knows
    the messages; without it that of the PATH."""

    def __init__(self, application: ASGIApp, host: str, program: str = "") -> None:
        self._application, self._host, self._program = application, host, program
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._front: Front | None = None
        self._opening = asyncio.Lock()

    async def socket(self) -> str:
        """Where gRPC listens, a socket in a folder that nobody else can enter.

        Raises
        ------
        RefusedError
            TIP279: grpcio or protobuf is not installed; TIP276: there is no ``argo``, or it has no messages.
        """
        async with self._opening:
            if self._front is None:
                methods = await asyncio.to_thread(self._methods)
                from tiphys.server.rpc.front import Front

                front = Front(self._application, methods, self._host)
                folder = tempfile.TemporaryDirectory(prefix="tiphys-rpc-")
                await front.start(f"{folder.name}/s")
                self._front, self._folder = front, folder
            assert self._folder is not None
            return f"{self._folder.name}/s"

    def _methods(self) -> Mapping[str, Method]:
        try:
            import grpc.aio  # noqa: F401  # which takes a moment, and not the loop's

            from tiphys.server.rpc.schema import methods_of
        except ImportError as error:
            raise RefusedError(
                "TIP279",
                f"gRPC needs {error.name}, which is not installed",
                fix="pip install 'tiphys[server,service]', or let clients use HTTP: ARGO_HTTP1=true",
            ) from error
        program = self._program or shutil.which("argo")
        if program is None:
            raise RefusedError(
                "TIP276",
                "the messages of Argo's gRPC API are read from the program argo, which is not on the PATH",
                fix="install argo 4, or let clients use HTTP: ARGO_HTTP1=true",
            )
        return methods_of(Path(program))

    async def close(self) -> None:
        """End gRPC, if there is any."""
        if self._front is not None:
            await self._front.stop()
        if self._folder is not None:
            self._folder.cleanup()
