"""Which GPUs there are, by stand-ins for the files of the driver. Their text is the driver's (a host with 2 A100)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tiphys.engine.runners.gpus import Gpu, GpuMachine, chosen, read_choice, visible_devices
from tiphys.errors import RefusedError

INFORMATION = """Model: \t\t NVIDIA A100-SXM4-40GB
IRQ:   \t\t 236
GPU UUID: \t {uuid}
Video BIOS: \t 92.00.45.00.03
Bus Type: \t PCIe
DMA Size: \t 47 bits
DMA Mask: \t 0x7fffffffffff
Bus Location: \t {bus}
Device Minor: \t {minor}
GPU Excluded:\t No
"""
A, B = "GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0", "GPU-1a2b3c4d-0000-1111-2222-333344445555"
# docs.nvidia.com, "NVIDIA Multi-Instance GPU User Guide": nvidia-smi -L
LISTED = f"""GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
"""


def stand_in(root: Path, cards: Mapping[str, tuple[int, str]]) -> Path:
    """``dev`` and ``proc`` of a machine: PCI address -> (number of the node, UUID)."""
    (root / "dev").mkdir(parents=True)
    for name in ("nvidiactl", "nvidia-uvm", "null"):
        (root / "dev" / name).touch()
    for bus, (minor, uuid) in cards.items():
        (root / "dev" / f"nvidia{minor}").touch()
        folder = root / "proc/driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(INFORMATION.format(uuid=uuid, bus=bus, minor=minor))
    return root


def silent() -> str:
    raise AssertionError("nobody had to be asked")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The GPU at the first address has the second node."""
    return stand_in(tmp_path, {"0000:07:00.0": (1, A), "0000:0b:00.0": (0, B)})


def test_by_the_files_of_the_driver(two: Path) -> None:
    found = GpuMachine(two, {}, silent).gpus()
    assert found == [Gpu(0, A, ("nvidia1",)), Gpu(1, B, ("nvidia0",))]


def test_none(tmp_path: Path) -> None:
    assert GpuMachine(stand_in(tmp_path / "a", {}), {}, silent).gpus() == []
    assert GpuMachine(tmp_path / "nothing", {}, silent).gpus() == []


def test_what_a_container_does_not_have_is_not_there(two: Path) -> None:
    (two / "dev/nvidia1").unlink()  # the host's driver tells of it all the same
    assert [gpu.uuid for gpu in GpuMachine(two, {}, silent).gpus()] == [B]


@pytest.mark.parametrize(
    ("outer", "left"),
    [
        ("", []),
        ("-1", []),
        ("1", [B]),
        ("1,0", [B, A]),
        ("0,-1,1", [A]),
        ("0,7,1", [A]),
        ("NoDevFiles", []),
        (A, [A]),
        ("GPU-1a2b", [B]),
        (f" {B} , 0", [B, A]),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", ["MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"]),
    ],
)
def test_what_the_user_has_left_out_stays_out(two: Path, outer: str, left: list[str]) -> None:
    """docs.nvidia.com, CUDA C++ Programming Guide, "CUDA Environment Variables": those after the first that is none do
    not count."""
    assert [gpu.uuid for gpu in GpuMachine(two, {"CUDA_VISIBLE_DEVICES": outer}, silent).gpus()] == left


def test_a_hidden_uuid_is_asked_for(tmp_path: Path) -> None:
    hidden = "GPU-????????-????-????-????-????????????"
    root = stand_in(tmp_path, {"0000:07:00.0": (3, hidden)})
    told = f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})\n"
    assert GpuMachine(root, {}, lambda: told).gpus() == [Gpu(0, A, ("nvidia3",))]
    found = GpuMachine(root, {"CUDA_VISIBLE_DEVICES": "0"}, lambda: "").gpus()
    assert found == [Gpu(0, "", ("nvidia3",))]
    assert visible_devices(found) == {
        "CUDA_VISIBLE_DEVICES": "0",
        "NVIDIA_VISIBLE_DEVICES": "0",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }


def test_a_parted_gpu_counts_by_its_parts(two: Path) -> None:
    (two / "proc/driver/nvidia/capabilities/gpu1/mig/gi1/ci0").mkdir(parents=True)
    found = GpuMachine(two, {}, lambda: LISTED).gpus()
    assert [(gpu.index, gpu.uuid[:8], gpu.nodes) for gpu in found] == [
        (0, "MIG-c6d4", ("nvidia1",)),
        (0, "MIG-cba6", ("nvidia1",)),
        (1, "GPU-1a2b", ("nvidia0",)),
    ]


def test_those_of_windows(tmp_path: Path) -> None:
    root = stand_in(tmp_path, {})
    (root / "dev/dxg").touch()
    machine = GpuMachine(root, {}, lambda: f"GPU 0: NVIDIA T500 (UUID: {A})\n")
    assert machine.gpus() == [Gpu(0, A, ())]
    assert "/dev/dxg" in machine.nodes(machine.gpus())


def test_a_step_is_shown_its_own_and_what_all_share(two: Path) -> None:
    machine = GpuMachine(two, {}, silent)
    nodes = machine.nodes(machine.gpus()[:1])
    assert nodes == {name: f"{two}{name}" for name in ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia1")}
    assert machine.nodes([]) == {}


def test_the_libraries_of_the_driver(two: Path) -> None:
    """docs.nvidia.com, container toolkit: nvidia-container-cli list --libraries."""
    folder = two / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    for name in ("libcuda.so.550.54", "libnvidia-ml.so.1", "libc.so.6", "libcudart.so.12"):
        (folder / name).touch()
    (folder / "libcuda.so.1").symlink_to("libcuda.so.550.54")
    (folder / "libnvidia-gone.so.1").symlink_to("nothing")
    assert GpuMachine(two, {}, silent).libraries() == {
        name: str(folder / name) for name in ("libcuda.so.1", "libcuda.so.550.54", "libnvidia-ml.so.1")
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0", []),
        ("1", [A]),
        ("2", [A, B]),
        ("all", [A, B]),
        ("1,", [B]),
        ("1,0", [B, A]),
        (B, [B]),
        ("GPU-1a2b,0", [B, A]),
    ],
)
def test_what_is_chosen(two: Path, text: str, names: list[str]) -> None:
    gpus = GpuMachine(two, {}, silent).gpus()
    assert [gpu.uuid for gpu in chosen(read_choice(text), gpus)] == names


@pytest.mark.parametrize("text", ["-1", "", "x", "1,,2", "0,0", "1.5", "0,-1", "GPU-?", "two"])
def test_what_names_no_gpus(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_choice(text)
    assert caught.value.code == "TIP234"


@pytest.mark.parametrize("choice", [3, [2], ["GPU-dead"], [0, A], [True], True, -1, [-1]])
def test_what_there_is_not(two: Path, choice: object) -> None:
    with pytest.raises(RefusedError) as caught:
        chosen(choice, GpuMachine(two, {}, silent).gpus())  # type: ignore[arg-type]
    assert caught.value.code == "TIP234"
