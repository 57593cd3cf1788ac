"""The NVIDIA GPUs of this machine: which there are, which of them a run may use, and what a step needs to see one.

They are found by the files of the kernel's driver (docs.nvidia.com, "Linux driver README", device nodes and
``/proc/driver/nvidia/gpus/*/information``), in the order of their PCI addresses, in which ``nvidia-smi`` numbers them.
``nvidia-smi -L`` is asked only where those do not tell: a UUID is hidden, a GPU is parted (MIG), or it is that of
Windows (WSL).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from tiphys.engine.base.options import GpuChoice
from tiphys.errors import RefusedError
from tiphys.frozen import frozen
from tiphys.lazy import regex

__all__ = ["BESIDE", "Gpu", "GpuMachine", "chosen", "read_choice", "visible_devices"]

_NODE = regex(r"nvidia(\d+)")
_LINE = regex(r"(?:GPU (\d+)|\s+MIG \S+\s+Device\s+\d+):.*\(UUID: ([\w./-]+)\)")
_UUID = regex(r"(?:GPU|MIG)-[0-9A-Za-z/-]+")
# what every program that uses a GPU opens beside the node of the GPU itself
_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "dxg")
# what the driver's libraries read or ask, or where they are, outside of what every sandbox has
BESIDE = (
    "/sys/devices",
    "/sys/bus/pci",
    "/run/nvidia-persistenced",
    "/run/nvidia-fabricmanager",
    "/run/opengl-driver",
)

# of the programs of the driver those that the container toolkit, too, brings into a container
_LIBRARIES = (
    "usr/lib/wsl/lib",
    "usr/local/nvidia/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "run/opengl-driver/lib",
)
_OF_THE_DRIVER = (
    "libcuda.so",
    "libcudadebugger.so",
    "libnvidia-",
    "libnvcuvid.so",
    "libnvoptix.so",
    "libdxcore.so",
)


@frozen
class Gpu:
    """One device of the pool: a GPU, or a part of one. ``nodes``: the files by which it is opened."""

    index: int  # as nvidia-smi numbers it; of a part that of the GPU
    uuid: str  # empty: not known
    nodes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called between engines, and to CUDA."""
        return self.uuid or str(self.index)


def _listing() -> str:
    """What ``nvidia-smi -L`` says, or nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


@frozen
class GpuMachine:
    """Where GPUs are looked for. ``root`` has ``dev`` and ``proc``; ``env`` is the user's environment, of which
    ``CUDA_VISIBLE_DEVICES`` leaves some out; ``listing`` asks the driver's own program."""

    root: Path = Path("/")
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    listing: Callable[[], str] = _listing

    def gpus(self) -> list[Gpu]:
        """The GPUs that the user may use."""
        return _outer(self.env.get("CUDA_VISIBLE_DEVICES"), self._found())

    def nodes(self, gpus: Sequence[Gpu]) -> dict[str, str]:
        """The files by which a program opens these: what each is called in ``/dev`` -> where it is."""
        if not gpus:
            return {}
        names = [*_SHARED, *(node for gpu in gpus for node in gpu.nodes)]
        places = {f"/dev/{name}": str(self.root / "dev" / name) for name in names}
        return {name: place for name, place in places.items() if os.path.exists(place)}

    def libraries(self) -> dict[str, str]:
        """The driver's libraries, which an image does not have: the name of each -> where it is."""
        found: dict[str, str] = {}
        for folder in _LIBRARIES:
            for place in sorted((self.root / folder).glob("lib*.so*")):
                if place.name.startswith(_OF_THE_DRIVER) and place.is_file():
                    found.setdefault(place.name, str(place))
        return found

    def _found(self) -> list[Gpu]:
        try:
            names = os.listdir(self.root / "dev")
        except OSError:
            return []
        minors = {int(found[1]) for name in names if (found := _NODE.fullmatch(name))}
        if not minors:
            return self._listed({}) if "dxg" in names else []
        told = self._told()
        order = [minor for _, minor, _ in told if minor in minors]
        order += sorted(minors - set(order))  # the driver tells of none: by their nodes
        numbers = dict(enumerate(order))
        uuids = {minor: uuid for _, minor, uuid in told}
        parted = any((self.root / "proc/driver/nvidia/capabilities").glob("gpu*/mig/gi*"))
        asked = parted or not all(uuids.get(minor) for minor in order)
        if asked and (listed := self._listed(numbers)):
            return listed
        return [Gpu(index, uuids.get(minor, ""), (f"nvidia{minor}",)) for index, minor in numbers.items()]

    def _told(self) -> list[tuple[str, int, str]]:
        """By the driver's own words: PCI address, the number of the node, UUID (empty where it is hidden)."""
        told = []
        for place in sorted((self.root / "proc/driver/nvidia/gpus").glob("*/information")):
            try:
                text = place.read_text(errors="replace")
            except OSError:
                continue
            said = {
                key.strip(): value.strip()
                for key, _, value in (line.partition(":") for line in text.split("\n"))
            }
            uuid = said.get("GPU UUID", "")
            if said.get("Device Minor", "").isdigit():
                known = uuid if _UUID.fullmatch(uuid) else ""
                told.append((place.parent.name, int(said["Device Minor"]), known))
        return told

    def _listed(self, minors: Mapping[int, int]) -> list[Gpu]:
        """By ``nvidia-smi -L``; a GPU that is parted counts by its parts. ``minors``: the node of each number."""
        found: list[Gpu] = []
        whole: Gpu | None = None
        for line in self.listing().splitlines():
            said = _LINE.match(line)
            if said is None:
                continue
            number, uuid = said.groups()
            if number is not None:
                minor = minors.get(int(number))
                if minors and minor is None:
                    whole = None
                    continue
                whole = Gpu(int(number), uuid, () if minor is None else (f"nvidia{minor}",))
                found.append(whole)
            elif whole is not None:
                if found[-1] is whole:
                    found.pop()
                found.append(Gpu(whole.index, uuid, whole.nodes))
        return found


def _outer(text: str | None, found: Sequence[Gpu]) -> list[Gpu]:
    """What ``CUDA_VISIBLE_DEVICES`` leaves, as CUDA reads it: in the order that it names them, up to the first that
    there is not. A part of a GPU may be named though nobody told of it."""
    if text is None:
        return list(found)
    left: list[Gpu] = []
    for word in text.split(","):
        gpu = _named(word.strip(), found)
        if gpu is None and found and word.strip().startswith("MIG-"):
            nodes = tuple(dict.fromkeys(node for each in found for node in each.nodes))
            gpu = Gpu(found[0].index, word.strip(), nodes)
        if gpu is None or gpu in left:
            break
        left.append(gpu)
    return left


def _named(word: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """The one that a number, a UUID or the beginning of one names."""
    if word.isdecimal():
        found = [gpu for gpu in gpus if gpu.index == int(word)]
        return found[0] if found else None
    found = [gpu for gpu in gpus if word.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(word)]
    return found[0] if len(found) == 1 else None


def read_choice(text: str) -> GpuChoice:
    """``--gpus``: ``2`` is the first two, ``0,3`` (or ``3,``) those with these numbers, or UUIDs. Raises RefusedError
    TIP234."""
    if text == "all":
        return None
    if text.strip().isdecimal():
        return int(text)
    words = [word.strip() for word in text.removesuffix(",").split(",")]
    return checked([int(word) if word.isdecimal() else word for word in words])


def checked(choice: GpuChoice) -> GpuChoice:
    """A choice that can be one, whatever the machine has. Raises RefusedError TIP234."""
    if choice is None:
        return None
    if isinstance(choice, int):
        if isinstance(choice, bool) or choice < 0:
            raise _refused(choice)
        return choice
    words = [choice] if isinstance(choice, str) else [*choice]
    for word in words:
        if not (isinstance(word, int) and not isinstance(word, bool) and word >= 0) and not (
            isinstance(word, str) and (word.isdecimal() or _UUID.fullmatch(word))
        ):
            raise _refused(choice)
    if len({str(word) for word in words}) != len(words):
        raise _refused(choice, "one is named twice")
    return words


def chosen(choice: GpuChoice, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Those of the machine's that a run may use. Raises RefusedError TIP234 for some that there are not."""
    choice = checked(choice)
    if choice is None:
        return list(gpus)
    has = f"the GPUs that you may use here: {', '.join(_shown(gpu) for gpu in gpus) or 'none'}"
    if isinstance(choice, int):
        if choice > len(gpus):
            raise _refused(choice, has)
        return list(gpus[:choice])
    found: list[Gpu] = []
    for word in choice:
        gpu = _named(str(word), gpus)
        if gpu is None or gpu in found:
            raise _refused(choice, has if gpu is None else f"{word} is named twice")
        found.append(gpu)
    return found


def visible_devices(gpus: Sequence[Gpu], *, alone: bool = False) -> dict[str, str]:
    """The variables by which CUDA and the container toolkit show a program these devices and no others. ``alone``:
    where it runs there are no others, and those without a UUID are counted anew."""
    names = ",".join(gpu.uuid or str(at if alone else gpu.index) for at, gpu in enumerate(gpus))
    env = {"CUDA_VISIBLE_DEVICES": names, "NVIDIA_VISIBLE_DEVICES": names or "void"}
    if gpus and not all(gpu.uuid for gpu in gpus):
        env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # else a number means another one to CUDA
    return env


def _shown(gpu: Gpu) -> str:
    return f"{gpu.index} ({gpu.uuid})" if gpu.uuid else str(gpu.index)


def _refused(choice: object, cause: str = "") -> RefusedError:
    if isinstance(choice, Sequence) and not isinstance(choice, str):
        choice = ",".join(map(str, choice))
    return RefusedError(
        "TIP234",
        f"--gpus {choice}: there are no such GPUs" if cause else f"--gpus {choice!r} names no GPUs",
        cause=cause,
        fix="give how many (--gpus 2), their numbers (--gpus 0,3; one: --gpus 3,) or UUIDs as nvidia-smi -L has them, "
        "or 0 for none",
    )
