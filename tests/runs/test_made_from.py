"""What a run is made from, against git, sha256sum's way of counting and pip's list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiphys.argo.made_from import MADE_FROM
from tiphys.runs.made_from import annotated, code_digests, environment, made_from
from tiphys.store import Store


def workflow(*words: str) -> Any:
    return {"metadata": {"name": "x"}, "spec": {"templates": [{"container": {"command": list(words)}}]}}


STEP = workflow("python", "-m", "tiphys.step", "code.train:fit")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "__init__.py").write_text("")
    (tmp_path / "code" / "train.py").write_text("def fit(): return 1\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.email=a@b", "-c", "user.name=a", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_code_is_what_the_steps_name(project: Path) -> None:
    before = code_digests(STEP, project)
    assert set(before) == {"code"}
    (project / "other.py").write_text("x = 2\n")
    assert code_digests(STEP, project) == before
    (project / "code" / "train.py").write_text("def fit(): return 2\n")
    assert code_digests(STEP, project) != before
    manifest: Any = {
        "spec": {"templates": [{"resource": {"manifest": '{"command": ["python", "-m", "other"]}'}}]}
    }
    assert set(code_digests(manifest, project)) == {"other"}


def test_a_file_that_was_renamed_is_other_code(project: Path) -> None:
    before = code_digests(STEP, project)
    (project / "code" / "train.py").rename(project / "code" / "trains.py")
    assert code_digests(STEP, project) != before


def test_the_commit_is_gits(project: Path) -> None:
    assert "git" not in made_from(STEP, project)
    git(project, "init", "-q")
    assert "git" not in made_from(STEP, project)  # no commit yet
    git(project, "add", ".")
    git(project, "commit", "-qm", "a")
    assert made_from(STEP, project)["git"] == git(project, "rev-parse", "HEAD")
    git(project, "pack-refs", "--all")
    assert made_from(STEP, project / "code")["git"] == git(project, "rev-parse", "HEAD")
    git(project, "worktree", "add", "-q", str(project / "tree"), "-b", "side")
    git(project / "tree", "commit", "-qm", "b", "--allow-empty")
    assert made_from(STEP, project / "tree")["git"] == git(project / "tree", "rev-parse", "HEAD")
    git(project, "checkout", "-q", "--detach", "side")
    assert made_from(STEP, project)["git"] == git(project, "rev-parse", "HEAD")


def test_the_lock_file(project: Path) -> None:
    (project / "requirements.txt").write_text("a==1\n")
    (project / "uv.lock").write_text("a\n")
    before = made_from(STEP, project)["lock"]
    assert before.startswith("uv.lock@")
    (project / "uv.lock").write_text("b\n")
    assert made_from(STEP, project)["lock"] != before


def test_the_environment_is_pips() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    pips = {line.lower().replace("-", "_").replace(".", "_") for line in listed.split()}
    found = {line.replace("-", "_").replace(".", "_") for line in environment()[1].split()}
    assert {line for line in pips if not line.startswith("tiphys")} <= found


def test_a_run_again_has_its_own(project: Path, tmp_path: Path) -> None:
    given = workflow("python", "-m", "tiphys.step", "code.train:fit")
    given["metadata"]["annotations"] = {"a": "b", MADE_FROM + "git": "old", MADE_FROM + "code": "old"}
    found = annotated(given, project, Store(tmp_path / "store"))["metadata"]["annotations"]
    assert found["a"] == "b"
    assert MADE_FROM + "git" not in found
    assert found[MADE_FROM + "code"] != "old"
    kept = tmp_path / "store" / "environments" / f"{found[MADE_FROM + 'environment']}.txt"
    assert kept.read_text() == environment()[1]
    assert given["metadata"]["annotations"][MADE_FROM + "git"] == "old"  # who gave it keeps it


def test_a_copy_is_made_from_what_is_there_now(tmp_path: Path) -> None:
    import tiphys
    from tiphys.engine import RunOptions

    @tiphys.component
    def nothing() -> int:
        return 1

    with tiphys.Pipeline("copied", annotations={MADE_FROM + "git": "old"}) as pipeline:
        nothing()
    store = tmp_path / "store"
    assert tiphys.run(pipeline, options=RunOptions(store=store, name="one")).succeeded
    with tiphys.Client(store=store) as client:
        name = client.resubmit("one").name
        found = client.get(name).workflow["metadata"]["annotations"]
    assert found[MADE_FROM + "environment"] == environment()[0]
    assert MADE_FROM + "git" not in found
