"""The records that a keeper leaves: what is whole, what is lost, what is void."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tiphys.engine.runners._processes import RECORDS
from tiphys.engine.runners.left import Left, Start, begin_records, end_left, find


class Book:
    """A run's folder whose records are written line by line, as the keeper does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nodes" / "1").mkdir(parents=True)
        begin_records(folder, "token")

    def write(self, text: str) -> None:
        with (self.folder / RECORDS).open("a") as stream:
            stream.write(text)

    def started(
        self, number: int, container: str = "main", *, nth: int = 1, made: int = 1, serves: bool = False
    ) -> None:
        start = Start("pod", made, container, nth, "1", "127.0.0.1", "process", serves)
        self.write(f"+ {number} 0 {start.note()};\n= {number} {1000 + number};\n")

    def ended(self, number: int, status: int = 0, stdout: bytes = b"") -> None:
        self.write(f"- {number} {status} {base64.b64encode(stdout).decode()};\n")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_what_ended_is_found_with_its_stdout(book: Book) -> None:
    book.started(7)
    book.ended(7, 3 << 8, b"a\nb;\n")
    left = Left(book.folder)
    pod = left.pod("pod", "process")
    assert pod is not None and pod.over
    found = pod.find("main", 1)
    assert found is not None and (found.number, found.pid, found.status) == (7, 1007, 3 << 8)
    assert found.stdout == b"a\nb;\n" and not found.alive
    assert pod.find("main", 2) is None
    assert (left.highest, left.token) == (7, "token")


def test_what_neither_ended_nor_lives_is_lost_and_the_pod_is_made_anew(book: Book) -> None:
    book.started(1, "init")
    book.ended(1)
    book.started(2)
    assert Left(book.folder).pod("pod", "process") is None
    assert Left(book.folder).next_generation("pod") == 2
    pod = Left(book.folder, [2]).pod("pod", "process")
    assert pod is not None and not pod.over


def test_a_lost_sidecar_matters_only_while_the_work_goes_on(book: Book) -> None:
    book.started(1)
    book.started(2, "side", serves=True)
    assert Left(book.folder, [1]).pod("pod", "process") is None
    book.ended(1)
    pod = Left(book.folder).pod("pod", "process")
    assert pod is not None
    side = pod.find("side", 1)
    assert side is not None and side.status == 9  # SIGKILL


def test_a_pod_that_was_made_anew_has_nothing_of_the_one_before(book: Book) -> None:
    book.started(1, "main")
    book.ended(1, 1 << 8)
    book.started(2, "main", nth=2)
    book.started(3, "main", made=2)
    pod = Left(book.folder, [3]).pod("pod", "process")
    assert pod is not None and list(pod.containers) == [("main", 1)] and pod.generation == 2


def test_what_did_not_start_is_not_lost(book: Book) -> None:
    book.started(1)
    book.ended(1)
    book.started(2, nth=2)
    book.write("/ 2 0;\n")
    left = Left(book.folder)
    pod = left.pod("pod", "process")
    assert pod is not None and pod.over and pod.find("main", 2) is None and not left.lost
    assert left.highest == 2


def test_half_a_record_is_none(book: Book) -> None:
    book.started(1)
    book.write("- 1 0")  # the keeper was killed, or the disk was full
    book.write("\n+ 2 10")
    assert Left(book.folder).pod("pod", "process") is None
    book.write("\n")
    book.ended(1)
    assert Left(book.folder).pod("pod", "process") is not None


def test_an_end_that_comes_with_the_answer_counts(book: Book) -> None:
    """The keeper had it among those that live when it was asked, and wrote its end before the records were read."""
    book.started(1)
    book.ended(1, 2 << 8)
    pod = Left(book.folder, [1]).pod("pod", "process")
    assert pod is not None and pod.over


def test_records_from_before_a_reboot_are_void(book: Book) -> None:
    """What was written to disk since, outputs included, nobody knows; numbers are not given twice all the same."""
    book.started(5)
    book.ended(5)
    place = book.folder / RECORDS
    before = place.read_text()
    boot = before.split()[1]
    place.write_text(before.replace(boot, "another-boot"))
    left = Left(book.folder)
    assert left.pod("pod", "process") is None and left.highest == 5
    book.write(f"\n! {boot} second;\n")
    book.started(6)
    book.ended(6)
    assert Left(book.folder).pod("pod", "process") is not None


@pytest.mark.parametrize("why", ["another runner", "no folder"])
def test_a_pod_goes_on_only_as_it_was(book: Book, why: str) -> None:
    book.started(1)
    book.ended(1)
    if why == "no folder":
        (book.folder / "nodes" / "1").rmdir()
    assert Left(book.folder).pod("pod", "sandbox" if why == "another runner" else "process") is None


def test_where_nobody_waits_nobody_is_found_and_the_records_go(book: Book) -> None:
    book.started(1)
    book.ended(1)
    assert find(book.folder) is None
    end_left(book.folder)
    assert not (book.folder / RECORDS).exists()


def test_pods_of_a_child_are_its_own(book: Book, tmp_path: Path) -> None:
    """Nodes and objects of the same names, in the parent and in two children."""
    key, other = "child/uid/1", "child/uid/2"
    for number, (child, pod) in enumerate(
        [("", "pod"), (key, "pod"), (other, "pod"), (key, "o/p"), ("", "o/p")], 1
    ):
        start = Start(pod, 1, "main", 1, "1", f"127.0.0.{number}", "process", child=child)
        book.write(f"+ {number} {number} {start.note()};\n")
    left = Left(book.folder, [1, 2, 3, 4, 5])
    view = left.of_child(key, tmp_path / "child")
    assert view.pod("pod", "process") is None  # its folder is gone
    (tmp_path / "child" / "nodes" / "1").mkdir(parents=True)
    for each, ip in ((left, "127.0.0.1"), (view, "127.0.0.2")):
        found = each.pod("pod", "process")
        assert found is not None and found.ip == ip
    assert (view.home, left.children()) == (left.home, {key, other})
    assert list(view.of("o")) == ["p"]
    view.claim("o/p")
    for each in (left, view):
        each.drop_unclaimed()
    assert list(view.of("o")) == ["p"] and not left.of("o")
    assert left.stray("process") == [5] and view.stray("process") == []
    assert left.alive_of(other) == [3]
    assert view.next_generation("pod") == left.next_generation("pod") == 2
    assert left.addresses() == {f"127.0.0.{number}" for number in (2, 3, 4)}
