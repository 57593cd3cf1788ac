"""What a step in the sandbox must not see or do, asked from inside by the system's own programs."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.engine.harness import RUNNERS, execute, log, sandboxed, shell, value, workflow
from tiphys.engine.runners import hiding
from tiphys.engine.runners.base import Container
from tiphys.engine.runners.images import Image
from tiphys.engine.runners.sandbox import _View
from tiphys.store.artifacts import members

pytestmark = sandboxed


def asked(tmp_path: Path, script: str, **more: object) -> str:
    result = execute(tmp_path, workflow(shell("main", script)), runner="sandbox", **more)  # type: ignore[arg-type]
    return log(result, result.name)


def test_it_has_no_capability(tmp_path: Path) -> None:
    found = asked(tmp_path, "grep '^Cap' /proc/self/status")
    assert {line.split()[1] for line in found.splitlines()} == {"0" * 16}


def test_it_has_a_user_namespace_of_its_own(tmp_path: Path) -> None:
    found = asked(
        tmp_path, "for n in user pid ipc uts mnt; do readlink /proc/self/ns/$n; done; cat /proc/self/uid_map"
    )
    *spaces, users = found.splitlines()
    ours = {os.readlink(f"/proc/self/ns/{name}") for name in ("user", "pid", "ipc", "uts", "mnt")}
    assert not ours & set(spaces)
    assert users.split() == ["0", str(os.geteuid()), "1"]


@pytest.mark.parametrize("folder", ["/usr", "/etc", "/opt"])
def test_what_is_bound_read_only_stays_so(tmp_path: Path, folder: str) -> None:
    name = f"{folder}/tiphys-test-{os.getpid()}"
    remount = f"mount -o remount,bind,rw {folder}"
    for way in (remount, f"mount -t tmpfs none {folder}", f"unshare -rm {remount}"):
        asked(tmp_path, f"{way}; touch {name}; true")
        assert not os.path.exists(name)


def test_it_makes_no_device(tmp_path: Path) -> None:
    assert asked(tmp_path, "mknod /tmp/d b 8 0 && echo made; true").endswith("not permitted\n")


@pytest.mark.parametrize("inside", [False, True], ids=["elsewhere", "in-the-project"])
def test_the_store_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool) -> None:
    """Its runs, their journals with Secrets, other steps' /tmp; also where it lies in the folder of the project, which
    is there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "module.py").touch()
    monkeypatch.chdir(project)
    place = project if inside else tmp_path
    first = execute(place, workflow(shell("main", "echo mine > /tmp/private")), runner="sandbox")
    assert {"journal.db", "workflow.json"} <= set(os.listdir(first.folder))
    found = asked(place, f"ls {project}; ls -A {place}/store; cat {first.folder}/journal.db")
    assert found.startswith("module.py\n")
    assert "No such file" in found.splitlines()[-1]
    assert "runs" not in found.replace(str(first.folder), "").split()


def test_homes_are_not_there(tmp_path: Path) -> None:
    secret = Path.home() / f".tiphys-secret-{os.getpid()}"
    secret.write_text("mine")
    try:
        found = asked(tmp_path, f"cat {secret} 2>/dev/null; ls -A {Path.home()} /home /root; true")
    finally:
        secret.unlink()
    assert "mine" not in found
    assert secret.name not in found


def test_a_home_that_is_the_project_shows_what_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "mine").mkdir(parents=True)
    (home / "mine/__init__.py").touch()
    (home / "flow.py").write_text("word = 'found'")
    (home / ".ssh").mkdir()
    (home / ".ssh/id").write_text("secret")
    (home / "notes").mkdir()
    monkeypatch.setattr(hiding, "homes", lambda: (str(home),))
    found = hiding.parts_of_home([str(home), "/usr/lib"])
    assert set(found) == {"/usr/lib", str(home / "flow.py"), str(home / "mine")}
    assert hiding.parts_of_home([str(tmp_path)]) == []


@pytest.mark.skipif(not Path("/etc/shadow").exists(), reason="no passwords here")
def test_passwords_and_keys_of_the_system(tmp_path: Path) -> None:
    assert "/etc/shadow" in hiding.not_for_all("/etc")
    found = asked(tmp_path, "cat /etc/shadow && echo read; cat /etc/passwd >/dev/null && echo users")
    assert found.endswith("users\n")
    assert "read" not in found.replace("reading", "")


@pytest.mark.skipif(not os.access("/etc/shadow", os.R_OK), reason="this user may not read them anyway")
def test_what_is_hidden_is_no_output(tmp_path: Path) -> None:
    """Who collects outputs is no step and may read passwords: he looks with the eyes of the step."""
    passwords = Path("/etc/shadow").read_text()
    step = shell(
        "main",
        "ln -s /etc/shadow /tmp/link; ln -s /etc /tmp/folder; mkdir -p /tmp/out",
        outputs={
            "parameters": [
                {"name": name, "valueFrom": {"path": path, "default": "nothing"}}
                for name, path in (("a", "/etc/shadow"), ("b", "/tmp/link"), ("c", "/tmp/folder/shadow"))
            ],
            "artifacts": [
                {"name": "file", "path": "/etc/shadow", "optional": True},
                {"name": "link", "path": "/tmp/link", "optional": True},
                {"name": "folder", "path": "/etc"},
            ],
        },
    )
    result = execute(tmp_path, workflow(step), runner="sandbox")
    assert result.succeeded, result.message
    assert [value(result, result.name, name) for name in "abc"] == ["nothing"] * 3
    stored = [path for path in (tmp_path / "store/artifacts/sha256").rglob("*") if path.is_file()]
    assert len(stored) == 1
    with tarfile.open(stored[0]) as archive:
        names = archive.getnames()
    assert "etc/passwd" in names and "etc/shadow" not in names
    assert passwords.encode() not in b"".join(path.read_bytes() for path in stored)


def test_of_what_is_hidden_nothing_is_found(tmp_path: Path) -> None:
    """The store, also where it lies in a folder of the system."""
    place = next(each for each in Path("/usr/share").iterdir() if each.is_dir() and any(each.iterdir()))
    inside = next(place.iterdir()).name
    (tmp_path / "root/tmp").mkdir(parents=True)
    container = Container(
        "main", Image("x", "host"), ["true"], {}, {}, "/", tmp_path / "root", [], [], "pod", Path(os.devnull), {},
        hidden=[place],
    )  # fmt: skip
    view = _View(container, Path("/"))
    view.options()
    container.view = view.view()
    assert container.found(f"{place}/{inside}") is None
    assert container.found(str(place.parent)) is not None
    laid = container.below(str(place.parent))
    folder = tmp_path / "share"  # as if it were that one
    (folder / place.name).mkdir(parents=True)
    (folder / place.name / inside).touch()
    (folder / "other").touch()
    assert [name for _, name in members(folder, "share", laid)] == ["share", "share/other"]


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_root_as_an_output_is_what_the_step_made(tmp_path: Path, runner: str) -> None:
    """Not all of this machine, which stands for its image."""
    step = shell("main", "echo x > /tmp/mine", outputs={"artifacts": [{"name": "all", "path": "/"}]})
    result = execute(tmp_path, workflow(step), runner=runner)
    assert result.succeeded, result.message
    (stored,) = [path for path in (tmp_path / "store/artifacts/sha256").rglob("*") if path.is_file()]
    with tarfile.open(stored) as archive:
        names = archive.getnames()
    assert any(name.endswith("tmp/mine") for name in names)
    assert not [name for name in names if "passwd" in name or "/proc/" in name]
    assert len(names) < 100


def test_what_not_everyone_may_read(tmp_path: Path) -> None:
    for name, mode in (
        ("open", 0o644),
        ("closed", 0o640),
        ("d/key", 0o600),
        ("d/all", 0o444),
        ("private/x", 0o644),
    ):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
        place.chmod(mode)
    (tmp_path / "private").chmod(0o750)
    (tmp_path / "l").symlink_to("closed")
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) & 0o005 == 0o005
    found = {os.path.relpath(path, tmp_path) for path in hiding.not_for_all(str(tmp_path))}
    assert found == {"closed", "d/key", "private"}


def test_variables_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@word@proxy:3128/")
    monkeypatch.setenv("http_proxy", "proxy:3128")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("TIPHYS_TEST_TOKEN", "hidden")
    found = asked(tmp_path, "env")
    assert "HTTPS_PROXY=http://proxy:3128/\n" in found
    assert "http_proxy=proxy:3128\n" in found
    assert "hidden" not in found
    assert "pass" not in found


def test_processes_of_the_host(tmp_path: Path) -> None:
    assert str(os.getpid()) not in asked(tmp_path, "ls /proc | grep '^[0-9]'").split()


def test_sockets_in_run(tmp_path: Path) -> None:
    assert asked(tmp_path, "ls -A /run") == ""


def test_a_home_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of ``nobody``, or of a service."""
    monkeypatch.setenv("HOME", "/usr/nonexistent")
    hiding.homes.cache_clear()
    try:
        assert asked(tmp_path, "echo ran") == "ran\n"
    finally:
        monkeypatch.undo()
        hiding.homes.cache_clear()


def test_a_home_in_a_folder_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/usr/share")
    hiding.homes.cache_clear()
    try:
        assert asked(tmp_path, "ls -A /usr/share") == ""
    finally:
        monkeypatch.undo()
        hiding.homes.cache_clear()
