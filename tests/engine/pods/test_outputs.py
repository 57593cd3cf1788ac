"""Outputs that lie in the image: a system folder or file that the step has not written itself."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import RUNNERS, execute, log, node, sandboxed, shell, value, workflow
from tiphys.engine import RunResult
from tiphys.engine.runners.sandbox import SandboxRunner

Json = Any
PLACE = Path("/usr/lib/apt")
folder = pytest.mark.skipif(not PLACE.is_dir(), reason=f"{PLACE} is not here")


def _open_to_all(place: Path) -> bool:
    """Whether a folder is one that any user may read whole, with a file in it."""
    if place.is_symlink() or not place.is_dir() or place.stat().st_mode & 0o005 != 0o005:
        return False
    inside = [path for path in place.iterdir() if not path.is_symlink()]
    return all(
        _open_to_all(path) if path.is_dir() else path.stat().st_mode & 0o004 for path in inside
    ) and any(path.is_file() for path in inside)


ETC = next(place for place in sorted(Path("/etc").iterdir()) if _open_to_all(place))
FILE = next(path for path in sorted(ETC.iterdir()) if path.is_file() and not path.is_symlink())
every = pytest.mark.parametrize("runner", RUNNERS)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The process runner without its way out."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("runner") == "process":
        monkeypatch.setattr(SandboxRunner, "check", lambda self: "not here")


def keep(
    tmp_path: Path, runner: str, script: str, *paths: str, archive: Json = None, **more: Json
) -> RunResult:
    """Run a step that leaves artifacts ``a0``, ``a1``, ..."""
    artifacts = [
        {"name": f"a{number}", "path": path, **({"archive": archive} if archive else {})}
        for number, path in enumerate(paths)
    ]
    spec = {"volumes": more.pop("volumes", [])}
    template = shell("main", script, outputs={"artifacts": artifacts})
    template["container"].update(image="debian:12", **more)
    return execute(tmp_path, workflow(template, **spec), runner=runner, images={"debian*": "host"})


def objects(tmp_path: Path) -> dict[str, Path]:
    from tiphys.store import Store

    store = Store(tmp_path / "store")
    return {
        each.split("/", 2)[2]: store.artifacts.path(store.bucket.digest(each))
        for each in store.bucket.keys("")
    }


def packed(tmp_path: Path, name: str = "a0") -> dict[str, tarfile.TarInfo]:
    with tarfile.open(objects(tmp_path)[f"{name}.tgz"]) as archive:
        return {each.name: each for each in archive}


def there(place: Path) -> set[str]:
    """The names as GNU tar and Go's filepath.Walk find them: links are not followed."""
    found = {place.name}
    for base, folders, files in os.walk(place):
        found |= {os.path.relpath(os.path.join(base, each), place.parent) for each in [*folders, *files]}
    return found


@every
@folder
def test_a_system_folder(tmp_path: Path, runner: str) -> None:
    result = keep(tmp_path, runner, "true", "/usr/lib/apt")
    assert result.succeeded, result.message
    assert set(packed(tmp_path)) == there(PLACE)


@every
def test_folders_within_each_other(tmp_path: Path, runner: str) -> None:
    inner = next(path for path in sorted(PLACE.rglob("*")) if path.is_file() and not path.is_symlink())
    result = keep(tmp_path, runner, "true", str(PLACE), str(inner), str(inner.parent))
    assert result.succeeded, result.message
    assert there(PLACE) - set(packed(tmp_path)) == set()
    assert packed(tmp_path)[str(inner.relative_to(PLACE.parent))].size == inner.stat().st_size
    assert set(packed(tmp_path, "a2")) == there(inner.parent)


@every
@pytest.mark.parametrize("archive", [None, {"none": {}}])
def test_a_system_file(tmp_path: Path, runner: str, archive: Json) -> None:
    result = keep(tmp_path, runner, "true", "/etc/passwd", archive=archive)
    assert result.succeeded, result.message
    text = Path("/etc/passwd").read_bytes()
    if archive:
        assert objects(tmp_path)["passwd"].read_bytes() == text
        return
    with tarfile.open(objects(tmp_path)["a0.tgz"]) as found:
        assert found.extractfile("passwd").read() == text  # type: ignore[union-attr]


@every
@pytest.mark.parametrize("path", ["/etc/hostname", "../etc/hostname", "/etc/../etc/hostname"])
def test_a_parameter(tmp_path: Path, runner: str, path: str) -> None:
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": path}}]}
    result = execute(tmp_path, workflow(shell("main", "true", outputs=outputs)), runner=runner)
    assert result.succeeded, result.message
    assert value(result, result.name, "x") == Path("/etc/hostname").read_text().removesuffix("\n")


@every
@pytest.mark.skipif(not os.path.islink("/bin"), reason="/bin is a folder")
def test_a_link_to_a_folder_is_packed_as_one(tmp_path: Path, runner: str) -> None:
    """TarGzToWriter asks by Stat whether it is a folder; filepath.Walk then does not go into a link."""
    result = keep(tmp_path, runner, "true", "/bin")
    assert result.succeeded, result.message
    (found,) = packed(tmp_path).values()
    assert (found.name, found.issym(), found.linkname) == ("bin", True, os.readlink("/bin"))


@every
@pytest.mark.skipif(not os.path.islink("/etc/os-release"), reason="/etc/os-release is no link")
def test_of_a_link_to_a_file_the_file_is_packed(tmp_path: Path, runner: str) -> None:
    """TarGzToWriter opens it."""
    result = keep(tmp_path, runner, "true", "/etc/os-release")
    assert result.succeeded, result.message
    with tarfile.open(objects(tmp_path)["a0.tgz"]) as found:
        content = found.extractfile("os-release").read()  # type: ignore[union-attr]
    assert content == Path("/etc/os-release").read_bytes()


@every
def test_what_may_not_be_read_in_the_executors_words(
    tmp_path: Path, runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded from the real controller for /var and /var/cache/debconf/passwords.dat. Root may read everything: here
    one file refuses it."""
    real = os.open

    def refuse(path: Any, *args: Any, **more: Any) -> int:
        if str(path) == str(FILE):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", refuse)
    result = keep(tmp_path, runner, "true", str(ETC))
    assert (result.phase, result.message) == (
        "Failed",
        f"main: Error (exit code 64): failed to tarball the output {ETC} to "
        f"/var/run/argo/outputs/artifacts{ETC}.tgz: open {FILE}: permission denied",
    )


@every
def test_what_is_not_there_is_the_usual_error(tmp_path: Path, runner: str) -> None:
    result = keep(tmp_path, runner, "true", "/usr/lib/tiphys-none")
    assert result.message == (
        "wait: Error (exit code 64): open /var/run/argo/outputs/artifacts/usr/lib/tiphys-none.tgz: "
        "no such file or directory; "
    )


@every
def test_what_the_step_wrote_comes_first(tmp_path: Path, runner: str) -> None:
    result = keep(tmp_path, runner, "echo mine > /etc/tiphys-none; true", "/etc/tiphys-none", "/usr/lib/apt")
    assert result.succeeded, result.message
    assert packed(tmp_path)["tiphys-none"].size == 5
    assert not os.path.exists("/etc/tiphys-none")


@sandboxed
def test_a_step_that_names_its_output_still_reads_what_the_image_has_there(tmp_path: Path) -> None:
    """A plain process gets a file system of its own for it."""
    script = f"cat /etc/passwd > {ETC}/tiphys-none "
    result = keep(tmp_path, "process", script, str(ETC), "/etc/passwd", f"{ETC}/tiphys-none")
    assert result.succeeded, log(result, result.name)
    assert packed(tmp_path)[f"{ETC.name}/tiphys-none"].size == Path("/etc/passwd").stat().st_size
    assert not (ETC / "tiphys-none").exists()


@sandboxed
def test_a_folder_of_the_image_with_what_the_step_made_in_it(tmp_path: Path) -> None:
    script = f"cd {ETC}; echo mine > tiphys-none; mkdir tiphys-box; ln -s /root tiphys-box/x"
    result = keep(tmp_path, "sandbox", script, str(ETC), f"{ETC}/tiphys-none")
    assert result.succeeded, log(result, result.name)
    found = packed(tmp_path)
    new = {f"{ETC.name}/{each}" for each in ("tiphys-none", "tiphys-box", "tiphys-box/x")}
    assert set(found) - there(ETC) == new
    assert found[f"{ETC.name}/tiphys-box/x"].issym()


@sandboxed
@pytest.mark.parametrize("path", ["/data", "/srv/v", "/usr/share/v", "/bin/v", "/dev/shm"])
def test_a_volume_and_a_folder_above_it(tmp_path: Path, path: str) -> None:
    mounts = [{"name": "v", "mountPath": path}]
    above = os.path.dirname(path) if path.startswith("/srv") else path
    result = keep(
        tmp_path, "sandbox", f"echo 1 > {path}/x", path, above,
        volumeMounts=mounts, volumes=[{"name": "v", "emptyDir": {}}],
    )  # fmt: skip
    assert result.succeeded, result.message
    assert set(packed(tmp_path)) == {os.path.basename(path), f"{os.path.basename(path)}/x"}
    assert f"{os.path.relpath(path, os.path.dirname(above))}/x" in packed(tmp_path, "a1")


@sandboxed
@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/cpuinfo", "/dev/null", "/sys/kernel"])
@pytest.mark.parametrize("runner", ["sandbox", "process"])
def test_what_the_kernel_makes_is_not_this_machines(tmp_path: Path, runner: str, path: str) -> None:
    result = keep(tmp_path, runner, "true", path)
    assert "no such file or directory" in node(result, result.name)["message"]


@sandboxed
def test_hidden_files_stay_hidden(tmp_path: Path) -> None:
    """Neither by name, nor by links that the step makes where the image is looked for."""
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    script = (
        f"ln -s {tmp_path} /etc/tiphys-a; ln -s {secret} /etc/tiphys-b; mkdir /usr/lib/tiphys-c; "
        f"ln -s {secret} /usr/lib/tiphys-c/x; mv /usr/lib /usr/lib2; ln -s {tmp_path} /usr/lib; true"
    )
    result = keep(
        tmp_path, "sandbox", script, str(secret), "/etc/tiphys-a/secret", "/etc/tiphys-b", "/usr/lib/secret",
        "/usr/lib/tiphys-c", str(tmp_path), archive={"none": {}},
    )  # fmt: skip
    assert result.phase == "Error"
    kept = [each.read_bytes() for each in (tmp_path / "store/artifacts").rglob("*") if each.is_file()]
    assert b"not yours" not in b"".join(kept)


@sandboxed
def test_a_link_of_a_volume_does_not_lead_to_what_lies_beside_it_here(tmp_path: Path) -> None:
    """``../beside`` is in the output for the step, and the folder of another volume on this machine."""
    script = "mkdir -p /out; ln -s ../b/x /out/a/x"
    result = keep(
        tmp_path, "sandbox", script, "/out", archive={"none": {}},
        volumeMounts=[{"name": "a", "mountPath": "/out/a"}],
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
    )  # fmt: skip
    assert result.phase == "Error"
    assert "illegal symlink target: a/x -> ../b/x" in result.message
