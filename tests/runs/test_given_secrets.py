"""``--secret``: where the values of Secrets are, as a command line says it."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.tools import find_program, kubectl
from tiphys.cli import main
from tiphys.errors import RefusedError
from tiphys.runs.given_secrets import given_secrets

PIPELINE = """
from tiphys import Pipeline, Secret, component

@component(secrets=[Secret("s3", "access-key", env="ACCESS_KEY")])
def read() -> int:
    import os
    return len(os.environ["ACCESS_KEY"])

with Pipeline("p") as pipeline:
    read()
"""


def values_of(*words: str) -> dict[str, dict[str, bytes]]:
    return {
        str(each["metadata"]["name"]): {key: base64.b64decode(value) for key, value in each["data"].items()}  # type: ignore[typeddict-item,attr-defined]
        for each in given_secrets(words)
    }


def test_values_are_read_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "from the environment")
    (tmp_path / "token").write_bytes(b"\x00\xffbytes\n")
    (tmp_path / "ca.crt").write_text("a certificate")
    (tmp_path / "..data").mkdir()
    found = values_of("a/key=env:MY_KEY", f"a/token={tmp_path}/token", f"tls={tmp_path}")
    assert found["a"] == {"key": b"from the environment", "token": b"\x00\xffbytes\n"}
    assert found["tls"] == {"ca.crt": b"a certificate", "token": b"\x00\xffbytes\n"}


def test_lines_are_those_of_kubectl(tmp_path: Path) -> None:
    file = tmp_path / "hub.env"
    file.write_text("# a comment\n\nTOKEN=a=b \n  USER=anna\nEMPTY=\n")
    if find_program("kubectl") is None:
        pytest.skip("kubectl is not here")
    asked = kubectl(
        "create",
        "secret",
        "generic",
        "hub",
        f"--from-env-file={file}",
        "--dry-run=client",
        "-o",
        "yaml",
        stdin="",
    )
    expected = {key: base64.b64decode(value) for key, value in yaml.safe_load(asked)["data"].items()}
    assert values_of(f"hub={file}") == {"hub": expected}


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["s3"], "NAME/KEY=FILE"),
        (["s3/=x"], "NAME/KEY=FILE"),
        (["s3/key="], "NAME/KEY=FILE"),
        (["s3/a b=env:HOME"], "no key"),
        (["s3/key=env:NO_SUCH_VARIABLE"], "not set"),
        (["s3/key=/no/such/file"], "cannot be read"),
        (["s3=/no/such.env"], "cannot be read"),
        (["s3=/etc/hostname"], "which key"),
        (["s3/key=env:HOME", "s3/key=env:HOME"], "twice"),
    ],
)
def test_what_cannot_be_read_is_refused(words: list[str], cause: str) -> None:
    with pytest.raises(RefusedError) as caught:
        given_secrets(words)
    assert caught.value.code == "TIP239"
    assert cause in caught.value.cause
    assert "NAME/KEY=FILE" in caught.value.fix


def test_a_run_has_them_and_says_which_it_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", "AKIA-0815")
    Path("p.py").write_text(PIPELINE)
    assert main(["run", "p.py", "--secret", "s3/access-key=env:MY_KEY"]) == 0
    shutil.rmtree(".tiphys/volumes", ignore_errors=True)
    answer = subprocess.run(
        ["grep", "-r", "AKIA-0815", ".tiphys"], capture_output=True, check=False, timeout=60
    )
    assert answer.returncode == 1, answer.stdout
    capfd.readouterr()
    assert main(["run", "p.py"]) == 1
    told = capfd.readouterr().err
    assert "TIP238" in told
    assert "--secret s3/access-key=" in told
    assert main(["run", "p.py", "--secret", "s3/other=env:MY_KEY"]) == 1
    assert "the key 'access-key' of the Secret 's3'" in capfd.readouterr().err
    assert main(["run", "--resume", "x", "--secret", "s3/k=env:MY_KEY"]) == 2
    assert "--with FILE" in capfd.readouterr().err
