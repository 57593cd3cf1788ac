"""How many GPUs a pod asks for and which container has which, as Kubernetes counts; and the desk's queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import A, B
from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.gpus import GpuDesk, NoGpus, asked, pod_needs, shares
from tiphys.engine.runners.base import StartProblem
from tiphys.engine.runners.gpus import Gpu

GPUS = [Gpu(at, f"GPU-{at}", ()) for at in range(3)]


def container(name: str, limit: object = None, request: object = None) -> Any:
    found: dict[str, Any] = {"name": name, "resources": {}}
    for kind, value in (("limits", limit), ("requests", request)):
        if value is not None:
            found["resources"][kind] = {"nvidia.com/gpu": value, "cpu": "100m"}
    return found


@pytest.mark.parametrize(
    ("inits", "others", "count"),
    [([], [0], 0), ([], [1, 0, 2], 3), ([2], [1], 2), ([1, 2], [1, 2], 3), ([1], [], 1), ([], [], 0)],
)
def test_what_a_pod_asks_for(inits: list[int], others: list[int], count: int) -> None:
    """kubernetes.io, "Init Containers", resource sharing: the highest of any init container, or the sum of the app
    containers."""
    assert (
        pod_needs([container("i", each) for each in inits], [container("o", each) for each in others])
        == count
    )


def test_what_a_container_asks_for() -> None:
    assert [asked(container("a", *each)) for each in ((), (1,), ("2",), (None, "3"), (2, 2))] == [
        0,
        1,
        2,
        3,
        2,
    ]
    for wrong in ("500m", "x", -1, "1.5"):
        with pytest.raises(StartProblem, match="must be an integer"):
            asked(container("a", wrong))


def test_devices_of_another_kind() -> None:
    for name in ("nvidia.com/mig-1g.5gb", "amd.com/gpu", "gpu.intel.com/i915", "nvidia.com/gpu.shared"):
        assert asked({"resources": {"limits": {name: 0}}}) == 0
        with pytest.raises(NoGpus) as caught:
            asked({"resources": {"limits": {name: 1}}})
        assert caught.value.code == "TIP236"
    assert asked({"resources": {"limits": {"hugepages-2Mi": "4Mi", "example.com/dongle": 1}}}) == 0


def test_containers_that_run_at_once_have_none_in_common() -> None:
    found = shares(GPUS, [container("i", 2)], [container("a", 1), container("b"), container("c", 2)])
    names = {name: [gpu.index for gpu in gpus] for name, gpus in found.items()}
    assert names == {"i": [0, 1], "a": [0], "b": [], "c": [1, 2]}


def test_the_desk_serves_in_the_order_of_asking(give: Any) -> None:
    give(A, B)
    loop = Loop()
    desk = GpuDesk(loop, None, lambda: 0)
    other = GpuDesk(loop, [1], lambda: 0)
    got: list[str] = []
    said: list[str] = []
    for at, (who, count) in enumerate(((desk, 1), (desk, 2), (other, 1))):
        who.ask(f"run/{at}", count, lambda at=at: got.append(str(at)), said.append)  # type: ignore[misc]
    assert got == ["0"]
    assert [text.rpartition("(")[2] for text in said] == [
        "asks for 2 of 2, 1 free)",
        "asks for 1 of 1, 1 free, 1 before it)",
    ]
    desk.give_back("run/0")
    while got != ["0", "1"]:
        loop.step()
    assert [gpu.uuid for gpu in desk.of("run/1")] == [A, B]
    desk.close()  # and what it had is the other's, which was not told
    while got != ["0", "1", "2"]:
        loop.step()
    assert [gpu.uuid for gpu in other.of("run/2")] == [B]
    other.close()
    loop.close()


def test_what_there_is_not(give: Any, tmp_path: Path) -> None:
    give(A)
    loop = Loop()
    for choice, told in (
        (None, "has 1 (--gpus)"),
        (0, "has none, of 1 that you may use on this machine (--gpus)"),
    ):
        desk = GpuDesk(loop, choice, lambda: 0)
        with pytest.raises(NoGpus) as caught:
            desk.ask("run/x", 2, lambda: None, lambda text: None)
        assert caught.value.code == "TIP235" and caught.value.message.endswith(told)
        desk.close()
    assert not (tmp_path / "devices.db").exists()
    loop.close()
