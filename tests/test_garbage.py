"""How often Python looks for garbage during a run, and what it is left with."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.cli import main
from tiphys.garbage import never_collected, seldom_collected, settled


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_looks_seldom_and_then_as_often_as_before() -> None:
    gc.set_threshold(700, 10, 10)
    with seldom_collected():
        assert gc.get_threshold() == (20_000, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


def test_also_after_an_error() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError, match="no"), seldom_collected():
        raise ValueError("no")
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [0, 50_000])
def test_who_wants_it_more_seldom_or_never_has_it_so(own: int) -> None:
    gc.set_threshold(own, 10, 10)
    with seldom_collected():
        assert gc.get_threshold()[0] == own


@pytest.mark.parametrize("on", [True, False])
def test_never_and_then_as_before(on: bool) -> None:
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(ValueError, match="no"), never_collected():
            assert not gc.isenabled()
            raise ValueError("no")
        assert gc.isenabled() == on
    finally:
        gc.enable()


def test_what_is_settled_is_never_looked_at_again() -> None:
    before = gc.get_freeze_count()
    try:
        with settled():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_a_command_leaves_nothing_settled_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: Service\n")
    assert main(["lint", str(file)]) == 1
    assert gc.get_freeze_count() == 0 and gc.isenabled()
    assert "L105" in capsys.readouterr().out


def test_a_process_that_ends_with_its_command_leaves_settled_what_is(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("kind: Workflow\n")
    program = (
        f"import gc, sys; from tiphys.cli import main; sys.argv = ['tiphys', 'lint', {str(file)!r}]; "
        "code = main(); print(code, gc.get_freeze_count() > 1000); "
        "code = main(sys.argv[1:]); print(code, gc.get_freeze_count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("1 ")] == ["1 True", "1 0"]
