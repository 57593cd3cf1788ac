"""The process with the balancers of a run: started by who asks first, asked one after another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tiphys.engine.objects.balancers import Balancers
from tiphys.engine.runners.network import NetworkLost


class Loop:
    def call_soon(self, work: Any) -> None:
        work()

    def in_thread(self, task: Any, over: Any, wrong: Any) -> None:
        try:
            over(task())
        except Exception as error:  # noqa: BLE001 - as the loop hands it on
            wrong(error)


class Host:
    """Its network is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop = folder, Loop()
        self.network = self.spawner = self

    def log_path(self, name: str) -> Path:
        return self.folder / name

    def spawn(self, launch: Any, ended: Any) -> None:
        raise AssertionError("there is no network")

    def joined(self, launch: Any) -> Any:
        raise NetworkLost("gone")


def test_a_network_that_is_gone_is_told_to_each_who_asks(tmp_path: Path) -> None:
    made, told = Balancers(cast("Any", Host(tmp_path))), list[str]()
    for _ in range(2):
        made.ask(lambda client: None, lambda: told.append("done"), lambda error: told.append(str(error)))
    assert [each.startswith("gone") for each in told] == [True, True] and made.pid == 0
    made.stopped = True
    made.ask(lambda client: None, lambda: told.append("done"), lambda error: told.append(str(error)))
    assert len(told) == 2
    made.release()
