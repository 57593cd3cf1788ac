"""What the keepers of processes read of them: in their records, and of those that run."""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tiphys.engine.runners import _processes
from tiphys.engine.runners._processes import RECORDS, unfinished


def test_only_starts_of_the_last_keeper_without_an_end(tmp_path: Path) -> None:
    """How they go on with a real keeper: tests/engine/outliving."""
    (tmp_path / RECORDS).write_text(
        "! boot one;\n+ 1 101 {};\n"  # an earlier keeper's; its number may be another's by now
        "! boot two;\n"
        "+ 2 0 {};\n= 2 102;\n"
        "+ 3 0 {};\n= 3 103;\n- 3 0 ;\n"  # told
        "& 4 0 {};\n= 4 104;\n"  # its stdout is kept
        "* 5 0 ;\n= 5 105;\n"  # a server
        "+ 6 0 {\n+ x 0 {};\n"  # torn; none
        "+ 7 0 {};\n/ 7 0;\n"  # did not start
        "+ 8 0 {};\n"  # its keeper was killed just then
    )
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        assert unfinished(descriptor) == {2: (102, b"+"), 4: (104, b"&"), 5: (105, b"*"), 8: (0, b"+")}
    finally:
        os.close(descriptor)


def test_one_that_is_just_being_executed_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it may go on before the kernel has given it its words and variables."""
    process = subprocess.Popen(["sleep", "100"], env={**os.environ, _processes.MARK: "token-7"})
    read, early = _processes._read, 3

    def too_early(pid: int, file: str) -> bytes:
        nonlocal early
        if pid == process.pid and early:
            early -= file == "environ"
            return b""
        return read(pid, file)

    monkeypatch.setattr(_processes, "_read", too_early)
    try:
        assert _processes.mark(process.pid) == 7
        early = 3
        assert _processes.send(signal.SIGKILL, {b"token-7"}.__contains__)
        assert process.wait(10) == -9
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("sent", [b"", b"\x01", b"\x40\0\0\0half", b"\x04\0\0\0none"])
def test_an_engine_that_goes_without_a_whole_word_wants_nothing(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        assert _processes.begin(theirs) is None


def test_what_an_engine_wants_kept_comes_with_its_descriptors(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    folder = os.open(tmp_path, os.O_PATH)
    told = marshal.dumps(("token", 1.5, ["folder"]))
    with ours, theirs:
        socket.send_fds(ours, [len(told).to_bytes(4, "little") + told], [folder])
        ours.sendall(b"more")
        wanted = _processes.begin(theirs)
        assert wanted is not None
        token, grace, kept = wanted
        assert (token, grace, theirs.recv(9)) == ("token", 1.5, b"more")
        assert os.readlink(f"/proc/self/fd/{kept['folder']}") == str(tmp_path)
        assert not os.get_inheritable(kept["folder"])
    os.close(kept["folder"])
    os.close(folder)
