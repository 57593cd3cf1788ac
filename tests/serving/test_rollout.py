"""A new version for all replicas at once, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.runs.test_served import model
from tests.serving.conftest import Clients
from tests.serving.test_grpc import PREDICT, spec, x
from tiphys.net.protobuf import message_map, quoted
from tiphys.runs.registry import Registry
from tiphys.runs.served import Followed
from tiphys.serving import serve
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.client import VersionStatus
from tiphys.serving.config_messages import read_text
from tiphys.serving.folder_source import FolderSource
from tiphys.serving.rollout import Rollout
from tiphys.serving.rpc import messages
from tiphys.store import Store

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    version(tmp_path / "m", 1)
    return tmp_path / "m"


def version(base: Path, number: int, **config: object) -> Path:
    """One whose answer to 0 is its number; put there in one step."""
    made = base.parent / f"making-{number}"
    made.mkdir(parents=True)
    (made / "fake.json").write_text(json.dumps({"offset": float(number), **config}))
    base.mkdir(exist_ok=True)
    made.rename(base / str(number))
    return base / str(number)


def test_nobody_sees_an_old_answer_after_a_new_one(base: Path, driver: str, asking: Any, until: Any) -> None:
    said: list[str] = []
    with serve(base, "m", port=0, replicas=3, driver=driver, flags=[FAKE], report=said.append) as serving:
        clients = asking(serving.url)
        until(lambda: clients.all_told(1.0))
        for number in (2, 3):
            version(base, number)
            until(lambda number=number: clients.all_told(float(number)))
        clients.stop()
    assert clients.failed == []
    assert all(told == [0.0, 1.0, 2.0, 3.0] for told in clients.told), clients.told
    switched = [each for each in said if each.startswith("m: version") and "loaded" not in each]
    assert switched == ["m: version 2", "m: version 3"]


class Callers(Clients):
    """They call by gRPC, all on one connection; ``place``: a label, where they name one."""

    def __init__(self, channel: Any, place: str = "") -> None:
        self._call = channel.unary_unary(PREDICT)
        self._data = spec(**({"label": place} if place else {})) + x(0.0)
        super().__init__("", 4, place)

    def _answer(self) -> float:
        (y,) = message_map(memoryview(self._call(self._data, timeout=30)), 1).values()
        return float(messages.read_tensor(y).values[0])


def test_no_call_sees_an_old_answer_after_a_new_one(base: Path, driver: str, until: Any) -> None:
    grpc = pytest.importorskip("grpc")
    options: Any = {"port": 0, "grpc_port": 0, "replicas": 3, "driver": driver, "flags": [FAKE]}
    with serve(base, "m", **options) as serving, grpc.insecure_channel(serving.grpc_address) as channel:
        clients = Callers(channel)
        try:
            until(lambda: clients.all_told(1.0))
            for number in (2, 3):
                version(base, number)
                until(lambda number=number: clients.all_told(float(number)))
            os.kill(serving.pids()[0], signal.SIGKILL)
            version(base, 4)
            until(lambda: clients.all_told(4.0))
        finally:
            clients.stop()
    assert clients.failed == []
    assert all(told == [0.0, 1.0, 2.0, 3.0, 4.0] for told in clients.told), clients.told


def test_calls_follow_the_registry_at_once(tmp_path: Path, driver: str, until: Any) -> None:
    grpc = pytest.importorskip("grpc")
    registry = Registry(tmp_path)
    for number in (1, 2, 3):
        registry.register("m", model(tmp_path, f"v{number}", offset=number))
    registry.alias("m", "champion", 2)
    source = Followed(Store(tmp_path), "m")
    options: Any = {"port": 0, "grpc_port": 0, "replicas": 2, "driver": driver, "flags": [FAKE]}
    with (
        serve(source.folder, "m", source=source, **options) as serving,
        grpc.insecure_channel(serving.grpc_address) as channel,
    ):
        all_of_them = [Callers(channel), Callers(channel, "champion")]
        try:
            until(lambda: all(each.all_told(2.0) for each in all_of_them))
            registry.alias("m", "champion", 3)
            until(lambda: all(each.all_told(3.0) for each in all_of_them))
        finally:
            for each in all_of_them:
                each.stop()
    for each in all_of_them:
        assert each.failed == []
        assert all(told == [0.0, 2.0, 3.0] for told in each.told), each.told


def test_when_what_serves_is_deleted_the_one_before_does(
    base: Path, driver: str, asking: Any, until: Any
) -> None:
    version(base, 2)
    with serve(base, "m", port=0, replicas=2, driver=driver, flags=[FAKE]) as serving:
        clients = asking(serving.url)
        until(lambda: clients.all_told(2.0))
        shutil.rmtree(base / "2")
        until(lambda: clients.all_told(1.0))
        clients.stop()
    assert clients.failed == []


def test_a_replica_that_takes_the_place_of_another_serves_what_all_serve(
    base: Path, driver: str, asking: Any, until: Any
) -> None:
    with serve(base, "m", port=0, replicas=2, driver=driver, flags=[FAKE]) as serving:
        clients = asking(serving.url)
        until(lambda: clients.all_told(1.0))
        version(base, 2)
        os.kill(serving.pids()[0], signal.SIGKILL)
        until(lambda: clients.all_told(2.0))
        until(lambda: sum(each["requests"] > 0 for each in serving.stats()["endpoints"]) == 2)
        clients.stop()
    assert clients.failed == []
    assert all(told == [0.0, 1.0, 2.0] for told in clients.told), clients.told


def test_a_version_that_cannot_be_loaded_is_not_taken_until_it_changes(
    base: Path, driver: str, asking: Any, until: Any
) -> None:
    said: list[str] = []
    flags = [FAKE, "--max_num_load_retries=0"]
    with serve(base, "m", port=0, replicas=2, driver=driver, flags=flags, report=said.append) as serving:
        clients = asking(serving.url)
        until(lambda: clients.all_told(1.0))
        broken = version(base, 2, nonsense=1)
        until(lambda: any("version 2 is not taken" in each and "nonsense" in each for each in said))
        assert clients.all_told(1.0)
        (broken / "fake.json").write_text('{"offset": 2.0}')
        until(lambda: clients.all_told(2.0))
        clients.stop()
    assert clients.failed == [] and all(told == [0.0, 1.0, 2.0] for told in clients.told)
    assert sum("is not taken" in each for each in said) == 1


def test_all_replicas_follow_the_registry_at_once(
    tmp_path: Path, driver: str, asking: Any, until: Any
) -> None:
    """Nobody sees an old answer after a new one, by the alias or without."""
    registry = Registry(tmp_path)
    for number in (1, 2, 3, 4):
        registry.register("m", model(tmp_path, f"v{number}", offset=number))
    registry.alias("m", "champion", 2)
    source = Followed(Store(tmp_path), "m")
    with serve(source.folder, "m", port=0, replicas=3, driver=driver, flags=[FAKE], source=source) as serving:
        all_of_them = [asking(serving.url), asking(serving.url, "/labels/champion")]
        until(lambda: all(each.all_told(2.0) for each in all_of_them))
        for number in (3, 4):
            registry.alias("m", "champion", number)
            until(lambda number=number: all(each.all_told(float(number)) for each in all_of_them))  # type: ignore[misc]
        os.kill(serving.pids()[0], signal.SIGKILL)
        registry.rollback("m", "champion")
        until(lambda: all(each.all_told(3.0) for each in all_of_them))
        for each in all_of_them:
            each.stop()
    for each in all_of_them:
        assert each.failed == []
        assert all(told == [0.0, 2.0, 3.0, 4.0, 3.0] for told in each.told), each.told


def test_the_old_version_stays_while_a_request_is_on_its_way_that_was_told_of_it(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be tried on another replica yet."""
    pins: list[VersionPin | None] = []
    rollout = Rollout(FolderSource("m", base), lambda text: None)
    file = Path(rollout.flags[0].partition("=")[2])
    monkeypatch.setattr(
        "tiphys.serving.rollout.replica_status",
        lambda *asked: [VersionStatus(each, "AVAILABLE", "OK", "") for each in (1, 2)],
    )
    rollout.begin(pins.append)
    version(base, 2)
    (first,) = pins
    assert first is not None
    with first:
        for _ in range(4):
            rollout.look(["a", "b"])
        assert [each and each.named for each in pins] == [1, 2]
        assert "versions: 1 versions: 2" in file.read_text()
    rollout.look(["a", "b"])
    assert "specific { versions: 2 }" in file.read_text()
    rollout.close()


def test_the_configuration_is_one_and_is_removed(tmp_path: Path) -> None:
    pins: list[VersionPin | None] = []
    base = tmp_path / 'a "b" \\ ü'
    version(base, 3)
    rollout = Rollout(FolderSource("m", base), lambda text: None)
    file = Path(rollout.flags[0].partition("=")[2])
    (entry,) = read_text("ModelServerConfig", file.read_text())["model_config_list"]["config"]  # type: ignore[index, call-overload]
    assert entry["base_path"] == str(base)
    rollout.begin(pins.append)
    assert [each and each.named for each in pins] == [3]
    rollout.close()
    assert not file.parent.exists()


def test_text_of_protobufs_text_format() -> None:
    assert quoted('a"b\\\nü') == '"a\\042b\\134\\012\\303\\274"'
