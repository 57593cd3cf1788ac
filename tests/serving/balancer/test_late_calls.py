"""The gRPC port of a Service: nothing runs before somebody connects, and then calls are balanced."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving.balancer.test_calls import PREDICT, Replica
from tiphys.errors import ServingError
from tiphys.serving.balancer.late_calls import LateCalls

grpc = pytest.importorskip("grpc")


def asked(channel: Any, times: int) -> Counter[bytes]:
    call = channel.unary_unary(PREDICT)
    return Counter(call(b"x", timeout=20).partition(b":")[0] for _ in range(times))


async def run(work: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), work, *arguments)


def test_a_connection_gets_all_replicas_by_weight_and_may_stay_when_they_change() -> None:
    first, second = Replica("first"), Replica("second")

    async def main() -> None:
        late = LateCalls("127.0.0.1", 0, endpoints={first.address: 3, second.address: 1})
        await late.start()
        threads = threading.active_count()
        assert await late.drained(1)
        with grpc.insecure_channel(f"127.0.0.1:{late.port}") as channel:
            assert await run(asked, channel, 100) == {b"first": 75, b"second": 25}
            assert threading.active_count() > threads
            await late.set_endpoints([second.address])
            assert await run(asked, channel, 10) == {b"second": 10}
            await late.stop()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", late.port)

    asyncio.run(main())
    first.die()
    second.die()


def test_a_call_on_a_replica_that_left_is_waited_for() -> None:
    slow = Replica("slow")
    began = threading.Event()

    def does(data: bytes, context: Any) -> bytes:
        began.set()
        time.sleep(0.6)
        return b"slow:" + data

    slow.does = does

    async def main() -> None:
        late = LateCalls("127.0.0.1", 0, endpoints=[slow.address])
        await late.start()
        with grpc.insecure_channel(f"127.0.0.1:{late.port}") as channel:
            call = asyncio.create_task(run(asked, channel, 1))
            await run(began.wait, 20)
            await late.set_endpoints([])
            assert not await late.drained(0.05)
            assert await late.drained(20)
            assert await call == {b"slow": 1}
        await late.stop()

    asyncio.run(main())
    slow.die()


def test_a_port_in_use_and_no_grpcio(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def taken() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ServingError) as caught:
            await LateCalls("127.0.0.1", other.getsockname()[1]).start()
        assert caught.value.code == "TIP510"

    async def without() -> None:
        late = LateCalls("127.0.0.1", 0)
        await late.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", late.port)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        await late.stop()

    asyncio.run(taken())
    monkeypatch.setitem(sys.modules, "grpc", None)
    asyncio.run(without())
    assert "grpcio" in caplog.text
