"""What people say in a file: told by the key, and read again when it has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiphys.errors import RefusedError
from tiphys.queue.rules_file import Reread, RulesTables, shown


def error(key: str, problem: str, fix: str) -> RefusedError:
    return RefusedError("TIP286", f"{key}: {problem}", fix=fix)


def test_a_wrong_file_leaves_what_was_said_before(tmp_path: Path) -> None:
    path = tmp_path / "said"

    def load(path: Path) -> int:
        if not path.exists():
            return 0
        if not path.read_text().isdecimal():
            raise error("said", "no number", "")
        return int(path.read_text())

    said = Reread(path, load, 0)
    assert said() == 0
    for text, is_now in (("12", 12), ("no number", 12), ("7", 7)):
        path.write_text(text)
        assert said() == is_now
    path.unlink()
    assert said() == 0


def test_it_is_read_once_while_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "said"
    path.write_text("1")
    reads: list[Path] = []
    said = Reread(path, lambda path: reads.append(path) or len(reads), 0)
    assert [said(), said(), said()] == [1, 1, 1]


def test_tables_say_the_key() -> None:
    tables = RulesTables(error)
    assert tables.table({}, "pools") == {}
    assert tables.amount("1.5", "pools.a.cpu", "cpu") == 1500
    assert tables.amount(8, "pools.a.gpu", "nvidia.com/gpu") == 8
    with pytest.raises(RefusedError, match=r"pools\.a\.jbos: nobody knows this key. Did you mean 'jobs'"):
        tables.keys({"jbos": 1}, "pools.a", ("jobs",))
    with pytest.raises(RefusedError, match="pools: 3 is no table"):
        tables.table({"pools": 3}, "pools")
    with pytest.raises(RefusedError, match="True is no amount"):
        tables.amount(True, "pools.a.cpu", "cpu")


def test_a_value_is_shown_in_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 9000)) == 81
    assert shown(10**9000) == "this number"
