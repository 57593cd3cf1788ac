"""No value of a Secret is in the journal of a run, or elsewhere in the store, but in a file that ends with the run.

The judge is grep over every file of the store: for the value, and for its base64.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, log, shell, wait_until, workflow
from tiphys.engine import RunOptions, resume
from tiphys.engine.runtime.retry import prepare_resubmit, prepare_retry
from tiphys.errors import RefusedError

Json = Any
VALUE = "hunter2-of-the-database"
USES = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]


def secret(value: str = VALUE, **more: Json) -> dict[str, Json]:
    data = {"password": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": data, **more}


def holders(store: Path, value: str = VALUE) -> list[str]:
    """The files below ``store`` with the value in clear or in base64, sqlite's logs included."""
    wanted = (value.encode(), base64.b64encode(value.encode()).rstrip(b"=")[:-1])
    files = (path for path in store.rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(store)) for path in files if any(each in path.read_bytes() for each in wanted)
    )


def _needs(wanted: str) -> str:
    """A test of a step's own: the workflow has no value, but its sum."""
    total = hashlib.sha256(wanted.encode()).hexdigest()
    return f"test $(printf %s $PASSWORD | sha256sum | cut -c1-64) = {total}"


def flow(tmp_path: Path, *, first: str = "true", wanted: str = VALUE) -> dict[str, Json]:
    """Two steps; each needs the value, by its environment, and has it in a volume, too."""
    needs = _needs(wanted)
    body = {
        "volumeMounts": [{"name": "s", "mountPath": "/secrets"}],
        "env": [*USES, {"name": "HERE", "value": str(tmp_path)}],
    }
    steps = [shell("one", f"{needs} && {{ {first}; }}"), shell("two", needs)]
    for step in steps:
        step["container"].update(body)
    calls = [[{"name": each["name"], "template": each["name"]}] for each in steps]
    made = workflow(
        {"name": "main", "steps": calls}, *steps, volumes=[{"name": "s", "secret": {"secretName": "db"}}]
    )
    made["metadata"] = {"name": "run"}
    return made


class Killed:
    """A run whose engine is killed while its first step runs; ``with_file``: the Secret lies in a file."""

    def __init__(self, tmp_path: Path, *, with_file: bool) -> None:
        self.store = tmp_path / "store"
        self.file = tmp_path / "secrets.json"
        self.file.write_text(json.dumps(secret()))
        mark, go = tmp_path / "mark", tmp_path / "go"
        given = flow(tmp_path, first="echo > $HERE/mark; while ! test -e $HERE/go; do sleep 0.05; done")
        path = tmp_path / "flow.json"
        path.write_text(json.dumps(given))
        words = ["run", str(path), "--with", str(self.file), "--store", str(self.store)]
        program = "import sys; from tiphys.cli import main; sys.exit(main(sys.argv[1:]))"
        if not with_file:
            program = (
                "import json, sys, tiphys; from tiphys.engine import RunOptions as R; "
                "x = [json.load(open(sys.argv[at])) for at in (2, 4)]; tiphys.run(x, options=R(store=sys.argv[6]))"
            )
        process = subprocess.Popen([sys.executable, "-c", program, *words], start_new_session=True)
        wait_until(mark.exists)
        self.while_it_ran = holders(self.store)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.after = [each for each in holders(self.store) if "/nodes/" not in each]
        go.touch()

    def options(self, *files: Path) -> RunOptions:
        return RunOptions(store=self.store, secrets=files, handle_signals=False)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Killed]:
    yield Killed(tmp_path, with_file=True)


def test_of_a_secret_in_a_file_nothing_is_in_the_store(killed: Killed) -> None:
    assert [each for each in killed.while_it_ran if "/nodes/" not in each] == []
    assert killed.after == []
    assert resume("run", options=killed.options()).succeeded
    assert holders(killed.store) == []


@pytest.mark.parametrize("how", ["gone", "another", "empty"])
def test_one_that_is_gone_or_another_is_told_and_can_be_given_anew(
    killed: Killed, tmp_path: Path, how: str
) -> None:
    if how == "gone":
        killed.file.unlink()
    else:
        killed.file.write_text(json.dumps(secret("another")) if how == "another" else "{}")
    with pytest.raises(RefusedError) as caught:
        resume("run", options=killed.options())
    assert caught.value.code == "TIP233" and caught.value.where == str(killed.file)
    assert caught.value.cause and "--with" in caught.value.fix and "another" not in str(caught.value.cause)
    anew = tmp_path / "anew.yaml"
    anew.write_text(json.dumps(secret()))
    assert resume("run", options=killed.options(anew)).succeeded
    assert holders(killed.store) == []


def test_one_that_a_program_gave_is_kept_until_the_end(tmp_path: Path) -> None:
    killed = Killed(tmp_path, with_file=False)
    assert killed.after == ["runs/run/secrets.json"]
    assert stat.S_IMODE((killed.store / "runs" / "run" / "secrets.json").stat().st_mode) == 0o600
    assert resume("run", options=killed.options()).succeeded
    assert holders(killed.store) == []


def test_after_the_end_it_must_be_given_anew(tmp_path: Path) -> None:
    failing = flow(tmp_path, first="false")
    options = RunOptions(store=tmp_path / "store", handle_signals=False)
    assert execute(tmp_path, failing, context=[secret()]).phase == "Failed"
    assert holders(tmp_path / "store") == []
    for prepare in (prepare_retry, prepare_resubmit):
        with pytest.raises(RefusedError) as caught:
            prepare("run", options=options)
        assert caught.value.code == "TIP233" and "program" in caught.value.cause
    file = tmp_path / "anew.yaml"
    file.write_text(json.dumps(secret()))
    again = RunOptions(store=tmp_path / "store", secrets=[file], handle_signals=False)
    assert prepare_retry("run", options=again).execute().phase == "Failed"
    assert holders(tmp_path / "store") == []
    # and from now on it is known where it lies
    assert prepare_retry("run", options=options).execute().phase == "Failed"


def test_one_that_a_step_made_is_kept_until_the_end_only(tmp_path: Path) -> None:
    """The value comes from an artifact, so that the workflow itself does not have it."""
    value = "made-by-a-step"
    manifest = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {value}}}\n"
    word = base64.b64encode(manifest[::-1].encode()).decode()
    write = "import base64; open('/tmp/m', 'w').write(base64.b64decode('" + word + "').decode()[::-1])"
    writer = {
        "name": "write", "script": {"image": "tiphys/step:test", "command": ["python"], "source": write},
        "outputs": {"artifacts": [{"name": "m", "path": "/tmp/m", "archive": {"zip": {}}}]},
    }  # fmt: skip
    maker = {
        "name": "make",
        "inputs": {"artifacts": [{"name": "m", "path": "/tmp/m"}]},
        "resource": {"action": "create", "manifestFrom": {"artifact": {"name": "m"}}},
    }
    user = shell("use", f"{_needs(value)} && echo seen; false")
    user["container"]["env"] = USES
    given = {"artifacts": [{"name": "m", "from": "{{steps.write.outputs.artifacts.m}}"}]}
    calls = [
        [{"name": "write", "template": "write"}],
        [{"name": "make", "template": "make", "arguments": given}],
        [{"name": "use", "template": "use"}],
    ]
    made = workflow({"name": "main", "steps": calls}, writer, maker, user)
    made["metadata"] = {"name": "run"}
    result = execute(tmp_path, made)
    assert log(result, "use") == "seen\n" and result.phase == "Failed"
    assert [each for each in holders(tmp_path / "store", value) if not each.startswith("artifacts/")] == []
    with pytest.raises(RefusedError) as caught:
        prepare_retry("run", options=RunOptions(store=tmp_path / "store"))
    assert caught.value.code == "TIP233" and "resubmit" in caught.value.fix


def test_a_digest_is_of_one_run(tmp_path: Path) -> None:
    from tiphys.engine.runtime.withheld import hollow

    one, other = (hollow(secret(), "/file.yaml") for _ in range(2))
    assert json.dumps(one) != json.dumps(other)
    assert VALUE not in json.dumps(one) and set(one) == {"apiVersion", "kind", "metadata", "withheld"}
    assert hollow(one) is one
    config = {"kind": "ConfigMap", "data": {"a": "b"}}
    assert hollow(config) is config


def test_a_workflow_that_a_step_makes_has_it_and_writes_nothing_down(tmp_path: Path) -> None:
    child = flow(tmp_path)
    child["metadata"] = {"name": "child"}
    maker = {
        "name": "make",
        "resource": {
            "action": "create",
            "manifest": json.dumps(child),
            "successCondition": "status.phase == Succeeded",
            "failureCondition": "status.phase in (Failed, Error)",
        },
    }
    parent = workflow({"name": "main", "steps": [[{"name": "make", "template": "make"}]]}, maker)
    assert execute(tmp_path, parent, context=[secret()]).succeeded
    assert (tmp_path / "store" / "runs" / "child" / "workflow.json").exists()
    assert holders(tmp_path / "store") == []
