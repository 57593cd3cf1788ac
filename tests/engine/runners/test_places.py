"""Where a path of a container is: links are followed as the container follows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiphys.engine.runners.base import Mount
from tiphys.engine.runners.places import held, make_folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "outside" / "root"
    place.mkdir(parents=True)
    return place


def write(path: str, root: Path, mounts: list[Mount] | None = None) -> None:
    with held(path, root, mounts or []) as place, place.open("x") as stream:
        stream.write("here")


@pytest.mark.parametrize(
    ("links", "path", "lands"),
    [
        ({}, "/a/b", "a/b"),
        ({}, "../../../a", "a"),
        ({}, "/a/../../b", "b"),
        ({"l": "/etc"}, "/l/x", "etc/x"),
        ({"l": "../../.."}, "/l/x", "x"),
        ({"l": "d/e", "d": "/"}, "/l/x", "e/x"),
        ({"l": "m", "m": "n/../..", "n": "o"}, "/l/../l/x", "x"),
        ({"tmp": "/proc/self/root/tmp"}, "/tmp/x", "proc/self/root/tmp/x"),
    ],
)
def test_it_stays_below_the_root(root: Path, links: dict[str, str], path: str, lands: str) -> None:
    for name, target in links.items():
        (root / name).symlink_to(target)
    write(path, root)
    assert (root / lands).read_text() == "here"
    assert os.listdir(root.parent) == ["root"]


def test_links_that_go_in_a_circle(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write("/a/x", root)


def test_a_file_is_no_folder(root: Path) -> None:
    (root / "a").touch()
    with pytest.raises(NotADirectoryError):
        write("/a/x", root)


def test_mounts_are_entered_and_links_in_them_start_at_the_containers_root(
    root: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to("/elsewhere")
    (volume / "up").symlink_to("..")
    mounts = [Mount("/data/v", volume)]
    write("/data/v/x", root, mounts)
    write("/data/v/out/y", root, mounts)
    write("/data/v/up/z", root, mounts)
    assert (volume / "x").read_text() == (root / "elsewhere/y").read_text() == (root / "data/z").read_text()
    with held("/data/v", root, mounts) as place:
        assert place == volume


def test_the_way_without_links(root: Path) -> None:
    (root / "a").symlink_to("/b/../c")
    assert make_folders("/a/d/.", root) == "/c/d"
    assert (root / "c/d").is_dir()
    assert make_folders("/", root) == "/"


def test_what_is_held_stays_where_it_was_found(root: Path) -> None:
    """Another step on the same volume puts a link in the place of a folder, meanwhile."""
    with held("/a/b/x", root) as place:
        (root / "a/b").rename(root / "moved")
        (root / "a/b").symlink_to("/etc")
        place.write_text("here")
    assert (root / "moved/x").read_text() == "here"
