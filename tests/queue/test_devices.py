"""Devices that engines share: processes that are killed hold nothing, unless what they started lives."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.harness import wait_until
from tiphys.errors import StoreError
from tiphys.queue import devices
from tiphys.queue.devices import Devices, users_table
from tiphys.queue.pool import Short, Wanted

TWO = ("GPU-a", "GPU-b")

OTHER = """
import sys, time
from pathlib import Path
from tiphys.queue.devices import Devices
from tiphys.queue.pool import Wanted
devices = Devices(Path(sys.argv[1]))
print(devices.take(Wanted("other", int(sys.argv[2]), ("GPU-a", "GPU-b")), heir=int(sys.argv[3])), flush=True)
time.sleep(600)
"""


def other(path: Path, count: int, heir: int = 0) -> subprocess.Popen[str]:
    """Another engine, which has asked."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path), str(count), str(heir)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_two_engines_never_have_one_device(tmp_path: Path) -> None:
    table = Devices(tmp_path / "t")
    engine = other(tmp_path / "t", 1)
    assert table.take(Wanted("a", 2, TWO)) == Short(free=1, before=0)
    assert table.held() == {"GPU-a": "other"}
    end(engine)
    assert table.take(Wanted("a", 2, TWO)) == TWO
    assert table.take(Wanted("a", 2, TWO)) == TWO  # it has them
    table.close()
    assert Devices(tmp_path / "t").held() == {}


def test_it_is_the_turn_of_who_came_first_in_another_engine(tmp_path: Path) -> None:
    table = Devices(tmp_path / "t")
    assert table.take(Wanted("a", 1, TWO)) == ("GPU-a",)
    engine = other(tmp_path / "t", 2)
    assert table.take(Wanted("b", 1, TWO)) == Short(free=1, before=1)
    end(engine)  # the dead wait for nothing
    assert table.take(Wanted("b", 1, TWO)) == ("GPU-b",)


def test_an_heir_holds_what_a_killed_engine_held(tmp_path: Path) -> None:
    table = Devices(tmp_path / "t")
    step = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], text=True)
    end(other(tmp_path / "t", 1, heir=step.pid))
    assert table.held() == {"GPU-a": "other"}
    assert table.adopt("oth") == {"other": ("GPU-a",)}  # the next engine has it
    assert table.take(Wanted("other", 1, TWO)) == ("GPU-a",)
    table.give_back("other")
    end(other(tmp_path / "t", 1, heir=step.pid))
    end(step)
    assert table.held() == {}


def test_what_is_left_to_a_server_stays_its_own(tmp_path: Path) -> None:
    table = Devices(tmp_path / "t")
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], text=True)
    table.take(Wanted("server", 1, TWO))
    table.leave("server", server.pid)
    table.close()
    code = (
        "import sys; from pathlib import Path; from tiphys.queue.devices import Devices;"
        "print(Devices(Path(sys.argv[1])).held())"
    )
    told = [sys.executable, "-c", code, str(tmp_path / "t")]
    assert (
        subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
        == "{'GPU-a': 'server'}"
    )
    end(server)
    assert Devices(tmp_path / "t").held() == {}


def _contend(path: Path, notes: Path, number: int) -> None:
    table = Devices(path)
    for turn in range(20):
        holder = f"{number}/{turn}"
        while isinstance(got := table.take(Wanted(holder, 1 + (number + turn) % 2, TWO)), Short):
            pass
        for each in got:  # a file that is there already is somebody else's
            os.close(os.open(notes / each, os.O_CREAT | os.O_EXCL))
        for each in got:
            (notes / each).unlink()
        table.give_back(holder)


def test_many_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    context = multiprocessing.get_context("spawn")
    engines = [
        context.Process(target=_contend, args=(tmp_path / "t", tmp_path / "notes", number))
        for number in range(4)
    ]
    for each in engines:
        each.start()
    for each in engines:
        each.join(120)
    assert [each.exitcode for each in engines] == [0] * 4


def test_a_stopped_engine_keeps_what_it_has(tmp_path: Path) -> None:
    table = Devices(tmp_path / "t")
    engine = other(tmp_path / "t", 2)
    engine.send_signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    assert table.take(Wanted("a", 1, TWO)) == Short(free=0, before=0)
    end(engine)


def test_the_table_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = users_table()
    assert place.parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(devices, "Path", lambda text: tmp_path / "link")
    (tmp_path / "else").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "else")  # somebody else was there first
    with pytest.raises(StoreError) as caught:
        users_table()
    assert caught.value.code == "TIP453"
