"""The store: artifacts, locks, atomic files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from tiphys.errors import StoreError
from tiphys.queue import Granted, Locks, Refused, Waiting
from tiphys.store import Artifacts, Store, write_atomic, write_json
from tiphys.store.artifacts import Packing


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def tree(folder: Path) -> Path:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/x.txt").write_text("x")
    (folder / "a/b/run.sh").write_text("#!/bin/sh\n")
    (folder / "a/b/run.sh").chmod(0o755)
    (folder / "a/link").symlink_to("x.txt")
    (folder / "a/empty").mkdir()
    return folder / "a"


@pytest.mark.parametrize("packing", ["tar", "none"])
def test_a_folder_comes_back_as_it_was(artifacts: Artifacts, tmp_path: Path, packing: Packing) -> None:
    stored = artifacts.put(tree(tmp_path / "in"), packing)
    target = tmp_path / "out/renamed"
    artifacts.get(stored.digest, target)
    assert (target / "x.txt").read_text() == "x"
    assert (target / "empty").is_dir()
    assert os.readlink(target / "link") == "x.txt"
    assert stat.S_IMODE((target / "b/run.sh").stat().st_mode) & 0o111


@pytest.mark.parametrize("packing", ["tar", "none", "zip"])
def test_a_file_comes_back_under_another_name(artifacts: Artifacts, tmp_path: Path, packing: Packing) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(bytes(range(256)) * 100)
    stored = artifacts.put(source, packing)
    artifacts.get(stored.digest, tmp_path / "deep/other")
    assert (tmp_path / "deep/other").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("packing", ["tar", "zip", "none"])
def test_equal_content_has_an_equal_digest(artifacts: Artifacts, tmp_path: Path, packing: Packing) -> None:
    first, second = tmp_path / "1/same", tmp_path / "2/same"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("content")
    os.utime(second, (0, 0))
    assert artifacts.put(first, packing) == artifacts.put(second, packing)


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as target:
        for info, data in members:
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "members",
    [
        [(member("../evil"), b"x")],
        [(member("/etc/evil"), b"x")],
        [(member("a/../../evil"), b"x")],
        [(member("link", tarfile.SYMTYPE, "/etc"), b"")],
        [(member("link", tarfile.SYMTYPE, "../.."), b"")],
        [(member("d/link", tarfile.SYMTYPE, "../../x"), b"")],
        [(member("hard", tarfile.LNKTYPE, "../../../etc/passwd"), b"")],
        [(member("device", tarfile.CHRTYPE), b"")],
        [(member("fifo", tarfile.FIFOTYPE), b"")],
    ],
    ids=[
        "parent",
        "absolute",
        "inner-parent",
        "link-absolute",
        "link-parent",
        "link-deep",
        "hard",
        "device",
        "fifo",
    ],
)
def test_archives_that_leave_their_folder_are_refused(
    artifacts: Artifacts, tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    path = archive(tmp_path / "evil.tgz", *members)
    with pytest.raises(StoreError) as caught:
        artifacts.lay_out(path, tmp_path / "box/inner/target")
    assert caught.value.code == "TIP442"
    assert not (tmp_path / "box/evil").exists()
    assert not (tmp_path / "box/inner/target").exists()


def test_nothing_is_written_through_a_link(artifacts: Artifacts, tmp_path: Path) -> None:
    """A link inside the archive, then a file below it (GHSA-xrqc-7xgx-c9vh): the file must not end elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    path = archive(
        tmp_path / "evil.tgz",
        (member("d/link", tarfile.SYMTYPE, "../inside"), b""),
        (member("d/link/file"), b"x"),
    )
    with contextlib.suppress(StoreError, OSError):
        artifacts.lay_out(path, tmp_path / "box/target")
    assert list(outside.iterdir()) == []


def test_zip_slip_is_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as target:
        target.writestr("../evil", "x")
    with pytest.raises(StoreError) as caught:
        artifacts.lay_out(tmp_path / "evil.zip", tmp_path / "box/target")
    assert caught.value.code == "TIP442"


def test_bombs_are_refused(tmp_path: Path) -> None:
    small = Artifacts(tmp_path / "artifacts", max_bytes=1000, max_files=10)
    large = archive(tmp_path / "large.tgz", (member("zeros"), bytes(5000)))
    many = archive(tmp_path / "many.tgz", *((member(str(index)), b"") for index in range(20)))
    for path in (large, many):
        with pytest.raises(StoreError) as caught:
            small.lay_out(path, tmp_path / "target")
        assert caught.value.code == "TIP444"


def test_damaged_archive_and_damaged_artifact(artifacts: Artifacts, tmp_path: Path) -> None:
    stored = artifacts.put(tree(tmp_path / "in"))
    path = artifacts.path(stored.digest)
    assert artifacts.verify(stored.digest) == ""
    path.write_bytes(path.read_bytes()[: stored.size // 2])
    assert "another content" in artifacts.verify(stored.digest)
    with pytest.raises(StoreError) as caught:
        artifacts.get(stored.digest, tmp_path / "target")
    assert caught.value.code == "TIP443"
    path.unlink()
    assert "gone" in artifacts.verify(stored.digest)


def test_collect_keeps_what_is_named(artifacts: Artifacts, tmp_path: Path) -> None:
    for name in ("keep", "drop"):
        (tmp_path / name).write_text(name)
    keep, drop = artifacts.put(tmp_path / "keep", "none"), artifacts.put(tmp_path / "drop", "none")
    assert artifacts.collect([keep.digest], dry_run=True) == [drop]
    assert artifacts.verify(drop.digest) == ""
    assert artifacts.collect([keep.digest]) == [drop]
    assert artifacts.verify(keep.digest) == ""
    assert "gone" in artifacts.verify(drop.digest)


# -- files ------------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tiphys.store import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomic(Path(sys.argv[1]), b'n' * 5000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert "TIP411" in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": {}, "b": [], "ä": None},
        {
            "status": {"nodes": {"n": {"outputs": {"result": '\n"ü'}}, "m": {}}, "phase": "Failed"},
            "x": [1, {"y": 2.5}],
        },
    ],
)
def test_json_in_pieces_is_what_one_dump_writes(tmp_path: Path, value: dict[str, object]) -> None:
    write_json(tmp_path / "value.json", value)
    assert (tmp_path / "value.json").read_text() == json.dumps(value, ensure_ascii=False) + "\n"


# -- locks --------------------------------------------------------------------------------------------------------

SEMAPHORE, MUTEX = "argo/ConfigMap/c/k", "argo/Mutex/m"


@pytest.fixture
def locks(tmp_path: Path) -> Locks:
    return Locks(tmp_path / "locks.db")


def held(locks: Locks, name: str) -> list[str]:
    return next((each.holders for each in locks.table() if each.name == name), [])


def test_all_locks_or_none(locks: Locks) -> None:
    limits = {SEMAPHORE: 1}
    assert isinstance(locks.acquire("w1/a", [MUTEX], workflow="w1", limits={}), Granted)
    waiting = locks.acquire("w2/b", [SEMAPHORE, MUTEX], workflow="w2", limits=limits)
    assert waiting == Waiting(MUTEX, f"Waiting for {MUTEX} lock. Lock status: 0/1")
    assert held(locks, SEMAPHORE) == []
    assert locks.release("w1/a")
    assert isinstance(locks.acquire("w2/b", [SEMAPHORE, MUTEX], workflow="w2", limits=limits), Granted)
    assert held(locks, SEMAPHORE) == ["w2/b"]


def test_queue_is_by_priority_then_creation(locks: Locks) -> None:
    locks.acquire("w0/a", [MUTEX], workflow="w0", limits={})
    wanted = [("late", 0, 30.0), ("early", 0, 20.0), ("urgent", 9, 40.0)]

    def attempt(name: str, priority: int, created: float) -> bool:
        outcome = locks.acquire(
            f"{name}/n", [MUTEX], workflow=name, limits={}, priority=priority, created=created
        )
        return isinstance(outcome, Granted)

    assert not any(attempt(*each) for each in wanted)
    (row,) = locks.table()
    assert (row.holders, row.waiting) == (["w0/a"], ["urgent/n", "early/n", "late/n"])
    order = []
    holder = "w0/a"
    while len(order) < 3:
        locks.release(holder)
        (name,) = [each[0] for each in wanted if each[0] not in order and attempt(*each)]
        order.append(name)
        holder = f"{name}/n"
    assert order == ["urgent", "early", "late"]


def test_any_node_of_the_front_workflow_may(locks: Locks) -> None:
    """Argo compares the front by workflow name."""
    limits = {SEMAPHORE: 1}
    locks.acquire("w1/x", [SEMAPHORE], workflow="w1", limits=limits)
    locks.acquire("w2/a", [SEMAPHORE], workflow="w2", limits=limits, created=1)
    locks.acquire("w2/b", [SEMAPHORE], workflow="w2", limits=limits, created=1)
    locks.release("w1/x")
    assert isinstance(locks.acquire("w2/b", [SEMAPHORE], workflow="w2", limits=limits, created=1), Granted)


def test_duplicates_are_refused(locks: Locks) -> None:
    assert isinstance(locks.acquire("w/a", [MUTEX, MUTEX], workflow="w", limits={}), Refused)


def test_locks_of_a_dead_process_are_free(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom tiphys.queue import Locks\n"
        "locks = Locks(Path(sys.argv[1]))\n"
        "locks.acquire('dead/a', ['argo/Mutex/m'], workflow='dead', limits={})\n"
        "locks.acquire('dead/b', ['argo/Mutex/m'], workflow='dead', limits={})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "locks.db")], check=False)
    locks = Locks(tmp_path / "locks.db")
    assert locks.table() == []
    assert isinstance(locks.acquire("w/a", [MUTEX], workflow="w", limits={}), Granted)


def test_never_more_holders_than_permits(tmp_path: Path) -> None:
    """Threads with a table each, as engines have: the number inside is counted at every entry."""
    inside, most, guard, failures = 0, 0, threading.Lock(), []

    def work(name: str) -> None:
        nonlocal inside, most
        locks = Locks(tmp_path / "locks.db")
        for turn in range(15):
            holder = f"{name}/{turn}"
            while not isinstance(
                locks.acquire(holder, [SEMAPHORE], workflow=name, limits={SEMAPHORE: 2}), Granted
            ):
                pass
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1
            if not locks.release(holder):
                failures.append(holder)

    threads = [threading.Thread(target=work, args=(f"w{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert most <= 2


def test_who_looks_at_a_run_that_is_gone_makes_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.has_run("gone") and not store.held("gone")
    assert not store.run("gone").exists()
    assert store.runs() == []
    assert store.new_run("new").is_dir()
    assert store.runs() == ["new"]


def test_names_do_not_leave_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(StoreError):
            store.volume(name)
        with pytest.raises(StoreError):
            store.run(name)
