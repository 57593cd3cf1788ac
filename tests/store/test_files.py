"""Files that are whole or not there, also when who writes them is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tiphys.store import Store
from tiphys.store.files import alone, replacing, sweep, write_atomic


def _killed_while_it_writes(path: Path) -> None:
    with replacing(path) as stream:
        stream.write(b"half")
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def _killed_while_it_stores(root: Path, pipe: Path) -> None:
    Store(root).artifacts.put(_Fatal(pipe), "none")


class _Fatal(type(Path())):  # type: ignore[misc]
    """A path that ends the process when it is asked what it is: the temporary file is there by then."""

    def is_dir(self, **_: object) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return False


def _in_a_process_that_is_killed(work: object, *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    _in_a_process_that_is_killed(_killed_while_it_writes, path)
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert path.read_bytes() == b"before"


def test_an_artifact_that_a_killed_engine_was_storing_is_swept(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    _in_a_process_that_is_killed(_killed_while_it_stores, tmp_path / "store", tmp_path / "source")
    incoming = Store(tmp_path / "store").artifacts.incoming
    assert len(list(incoming.iterdir())) == 1
    sweep(incoming)
    assert not list(incoming.iterdir())


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as stream:
        stream.write(b"whole")
        sweep(tmp_path)
    assert path.read_bytes() == b"whole"


def test_who_is_swept_at_the_moment_of_its_making_takes_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock a temporary file looks like one that is left."""
    make, swept = os.open, []

    def opened(path: str | Path, flags: int, mode: int = 0o777) -> int:
        descriptor = make(path, flags, mode)
        if flags & os.O_EXCL and not swept:
            swept.append(path)
            sweep(tmp_path)
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    write_atomic(tmp_path / "a", b"whole")
    assert swept and [each.name for each in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_no_folder_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "nosuch")


def test_a_file_is_alone_with_one_and_with_those_whom_he_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "the.lock"
    with alone(path) as mine:
        assert mine is not None
        given = os.dup(mine)
        with alone(path) as other:
            assert other is None
    with alone(path) as other:
        assert other is None  # whoever it was given to has it still
    os.close(given)
    with alone(path) as again:
        assert again is not None
