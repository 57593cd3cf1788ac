"""``python -m tiphys.serving``: the model server. Flags as of ``tensorflow_model_server``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from tiphys._version import __version__
from tiphys.errors import ServingError
from tiphys.serving import flags
from tiphys.serving.server import AsyncModelServer

log = logging.getLogger("tiphys.serving")
_TURN = 0.001  # seconds after which a thread that reads a large body lets the loop go on


async def _serve(options: flags.Options) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    if options.exit_with_stdin:
        loop.add_reader(0, _read_stdin, loop, stop)
    server = AsyncModelServer(options.config)
    starting = loop.create_task(server.start())
    stopping = loop.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    try:
        if starting.done():
            starting.result()
            await stopping
            server.http.retiring = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), options.lame_duck_seconds)
        else:
            starting.cancel()
    except ServingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        stopping.cancel()
    log.info("stopping: %d connections", server.http.connections)
    await server.close()
    return 0


def _read_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(0, 4096):
        loop.remove_reader(0)
        stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 cannot serve, 2 bad flags."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        options = flags.parse(sys.argv[1:] if arguments is None else arguments)
    except flags.FlagError as error:
        sys.stderr.write(f"{error}\n{flags.help_text()}")
        return 2
    if options is None:
        sys.stdout.write(f"TensorFlow ModelServer: tiphys {__version__}\n")
        return 0
    for flag in options.ignored:
        log.warning("--%s has no effect in this server", flag)
    sys.setswitchinterval(_TURN)
    return asyncio.run(_serve(options))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's own threads need not be waited for
    os._exit(code)
