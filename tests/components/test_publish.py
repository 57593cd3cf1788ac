"""Folders appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.publish import publish, published, write_file
from tiphys.errors import ComponentError
from tiphys.reference import Reference, verify

URI = "pvc://tiphys/things/one"


def fill(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "data.bin").write_bytes(b"x" * 1000)


def test_what_is_published_verifies(volume: Path) -> None:
    reference = publish(URI, fill)
    assert verify(reference) == ""
    assert published(URI) == reference
    assert os.listdir(volume / "things") == ["one"]


def test_a_sound_folder_is_kept_and_not_written_again(volume: Path) -> None:
    first = publish(URI, fill)

    def never(_folder: Path) -> None:
        raise AssertionError("called")

    assert publish(URI, never) == first


def test_a_damaged_folder_is_replaced(volume: Path) -> None:
    first = publish(URI, fill)
    (volume / "things/one/inner/data.bin").write_bytes(b"y" * 1000)
    assert published(URI) is None
    assert publish(URI, fill) == first
    assert (volume / "things/one/inner/data.bin").read_bytes() == b"x" * 1000
    assert os.listdir(volume / "things") == ["one"]


def test_an_unsealed_folder_or_a_file_in_its_place_is_replaced(volume: Path) -> None:
    (volume / "things/one").mkdir(parents=True)
    assert verify(publish(URI, fill)) == ""
    (volume / "things/two").write_text("a file")
    assert verify(publish("pvc://tiphys/things/two", fill)) == ""


def test_an_exception_leaves_nothing(volume: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(URI, fail)
    assert os.listdir(volume / "things") == []


def test_an_unknown_claim_is_an_error(volume: Path) -> None:
    assert published("pvc://other/things") is None


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd()
    )


HEAD = f"""
import os, resource, signal, sys
from pathlib import Path
from components.publish import publish
from tiphys.errors import ComponentError
URI = {URI!r}
"""


def test_a_full_disk(volume: Path) -> None:
    """The file size limit gives the same kind of refusal from the kernel as a disk that is full."""
    result = run(
        HEAD
        + """
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
def big(folder):
    from components.publish import writing
    with writing(folder):
        (folder / "big").write_bytes(bytes(200_000))
try:
    publish(URI, big)
except ComponentError as error:
    print(error.code, error.fix)
"""
    )
    assert result.stdout.startswith("TIP707 free some space"), result.stderr
    assert os.listdir(volume / "things") == []


def test_what_a_killed_process_leaves_is_invisible_and_removed_by_the_next(volume: Path) -> None:
    result = run(
        HEAD
        + """
def killed(folder):
    (folder / "part").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
publish(URI, killed)
"""
    )
    assert result.returncode == -9
    (left,) = os.listdir(volume / "things")
    assert left.startswith(".tmp-")
    assert published(URI) is None
    assert verify(publish(URI, fill)) == ""
    assert os.listdir(volume / "things") == ["one"]


def test_the_folder_of_a_writer_that_is_still_at_work_is_left_alone(volume: Path) -> None:
    def slow(folder: Path) -> None:
        fill(folder)
        publish("pvc://tiphys/things/two", fill)  # another writer in the same place sweeps meanwhile
        assert (folder / "inner/data.bin").exists()

    assert verify(publish(URI, slow)) == ""


def _publish_in_a_process(_number: int) -> str:
    return publish(URI, fill).digest


def test_writers_that_race_agree(volume: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        digests = set(pool.map(_publish_in_a_process, range(16)))
    assert len(digests) == 1
    assert verify(Reference(URI, digests.pop())) == ""
    assert os.listdir(volume / "things") == ["one"]


def test_write_file_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_where_the_folder_should_be(volume: Path) -> None:
    (volume / "things").write_text("in the way")
    with pytest.raises(ComponentError) as caught:
        publish(URI, fill)
    assert caught.value.code == "TIP707"
