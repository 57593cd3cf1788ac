"""Steps that behave badly: they cannot read what is not theirs, outlive the run, or fill the engine's memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import (
    RUNNERS,
    execute,
    log,
    marked,
    node,
    out,
    python,
    sandboxed,
    shell,
    value,
    wait_until,
    workflow,
)
from tiphys.engine import RunOptions, resume
from tiphys.errors import StoreError

pytestmark = pytest.mark.long

Json = Any
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("path", ["../../../{secret}", "/tmp/../../../../{secret}", "{secret}"])
def test_an_output_path_stays_in_the_step(tmp_path: Path, runner: str, path: str) -> None:
    # what is the image's may be an output: tests/engine/pods/test_outputs.py
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    where = {"path": path.format(secret=secret), "default": "none"}
    outputs = {"parameters": [{"name": "x", "valueFrom": where}]}
    result = execute(tmp_path, workflow(shell("main", "true", outputs=outputs)), runner=runner)
    assert value(result, result.name, "x") == "none"


@sandboxed
@pytest.mark.parametrize("link", ["{secret}", "../../../../../../../../../../../../{secret}"])
def test_a_link_to_a_file_that_the_step_cannot_see_is_no_output(tmp_path: Path, link: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    target = link.format(secret=secret)
    script = f"ln -s {target} /tmp/x; ln -s {target} /tmp/a; ln -s {tmp_path} /tmp/d"
    artifacts = [
        {"name": "a", "path": "/tmp/a", "archive": {"none": {}}},
        {"name": "d", "path": "/tmp/d/secret", "archive": {"none": {}}},
    ]
    outputs = {
        "parameters": [{"name": "x", "valueFrom": {"path": "/tmp/x", "default": "none"}}],
        "artifacts": artifacts,
    }
    result = execute(tmp_path, workflow(shell("main", script, outputs=outputs)), runner="sandbox")
    assert value(result, result.name, "x") == "none"
    assert result.phase == "Error"
    kept = [path.read_bytes() for path in (tmp_path / "store" / "artifacts").rglob("*") if path.is_file()]
    assert b"not yours" not in b"".join(kept)


@sandboxed
def test_links_inside_the_step_are_followed(tmp_path: Path) -> None:
    script = "mkdir -p /tmp/out /data; echo 5 > /data/real; ln -s /data/real /tmp/out/x"
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": "/tmp/out/x"}}]}
    template = shell("main", script, outputs=outputs)
    template["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/data"}]
    result = execute(tmp_path, workflow(template, volumes=[{"name": "v", "emptyDir": {}}]), runner="sandbox")
    assert value(result, result.name, "x") == "5"


@pytest.mark.parametrize("runner", RUNNERS)
def test_daemons_that_a_step_leaves_behind_end_with_it(tmp_path: Path, runner: str) -> None:
    mark = f"600.{os.getpid()}{'1' if runner == 'process' else '2'}"
    script = (
        f"setsid sleep {mark} & (setsid setsid sleep {mark} &) ; nohup sleep {mark} >/dev/null 2>&1 & echo ok"
    )
    result = execute(tmp_path, workflow(shell("main", script)), runner=runner)
    assert result.succeeded
    wait_until(lambda: not marked(mark))


def peak(tmp_path: Path, source: str) -> int:
    """The engine's own peak of memory in MB over a run; ``source`` makes ``flow``."""
    code = f"""
import re, sys
from pathlib import Path
from tests.engine.harness import *
{textwrap.dedent(source)}
result = execute(Path(sys.argv[1]), flow)
assert result.succeeded, result.message
# not ru_maxrss: that begins with what the parent had when it started this process
print(int(re.search(r"VmHWM:[^0-9]+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def test_a_gigabyte_of_output_is_not_in_memory(tmp_path: Path) -> None:
    # both kinds: with the result captured, and straight to the log
    source = """
        loud = shell("loud", "head -c 1000000000 /dev/zero | tr '\\\\0' x; printf END")
        use = shell("use", "test $(printf %s \\"$R\\" | wc -c) = 262144")
        use["inputs"] = {"parameters": [{"name": "r"}]}
        flow = workflow(dag(
            {"name": "loud", "template": "loud"},
            {"name": "size", "template": "size", "depends": "loud",
             "arguments": {"parameters": [{"name": "r", "value": "{{=len(tasks.loud.outputs.result)}}"}]}},
        ), loud, {**shell("size", "test {{inputs.parameters.r}} = 262144"), "inputs": {"parameters": [{"name": "r"}]}})
    """
    assert peak(tmp_path, source) < 150
    (path,) = [each for each in tmp_path.rglob("*.log") if each.stat().st_size > 1000]
    assert path.stat().st_size == 1_000_000_003
    path.unlink()


def test_a_large_artifact_is_not_in_memory(tmp_path: Path) -> None:
    source = """
        make = shell("make", "head -c 400000000 /dev/zero > /tmp/a")
        make["outputs"] = {"artifacts": [{"name": "a", "path": "/tmp/a", "archive": {"none": {}}}]}
        use = shell("use", "test $(stat -c %s /tmp/a) = 400000000")
        use["inputs"] = {"artifacts": [{"name": "a", "path": "/tmp/a"}]}
        flow = workflow({"name": "main", "steps": [
            [{"name": "make", "template": "make"}],
            [{"name": "use", "template": "use", "arguments": {"artifacts": [
                {"name": "a", "from": "{{steps.make.outputs.artifacts.a}}"}]}}],
        ]}, make, use)
    """
    assert peak(tmp_path, source) < 150
    shutil.rmtree(tmp_path / "store")


@pytest.mark.parametrize("archive", [{"tar": {"compressionLevel": 1}}, {"none": {}}], ids=["tar", "none"])
def test_ten_thousand_files(tmp_path: Path, archive: dict[str, Json]) -> None:
    count = 10_000 if "tar" in archive else 1_500
    source = f"import os; os.makedirs('/tmp/a')\nfor i in range({count}): open(f'/tmp/a/{{i}}', 'w').write(str(i % 7))"
    made = python("make", source)
    made["outputs"] = {"artifacts": [{"name": "a", "path": "/tmp/a", "archive": archive}]}
    used = shell("use", "ls /tmp/b | wc -l; cat /tmp/b/1234")
    used["inputs"] = {"artifacts": [{"name": "a", "path": "/tmp/b"}]}
    arguments = {"artifacts": [{"name": "a", "from": "{{steps.make.outputs.artifacts.a}}"}]}
    steps = [
        [{"name": "make", "template": "make"}],
        [{"name": "use", "template": "use", "arguments": arguments}],
    ]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, made, used))
    assert result.succeeded, result.message
    assert log(result, "use").split() == [str(count), str(1234 % 7)]


TAR = "import io, os, tarfile\nos.makedirs('/tmp/d')\n[open('/tmp/d/' + n, 'w').write(n) for n in 'xy']\n"


@pytest.mark.parametrize(
    ("make", "archive", "begins"),
    [
        (TAR + "tarfile.open('/tmp/a', 'w:gz').add('/tmp/d', 'd')", {"none": {}}, "1f8b"),
        (TAR + "tarfile.open('/tmp/a', 'w').add('/tmp/d', 'd')", {"none": {}}, "642f"),
        (TAR + "tarfile.open('/tmp/a', 'w:gz').add('/tmp/d', 'd')", {}, "1f8b"),
        (TAR + "tarfile.open('/tmp/a', 'w').add('/tmp/d', 'd')", {}, "642f"),
        ("open('/tmp/a', 'wb').write(bytes(100000))", {"none": {}}, "0000"),
    ],
    ids=["tgz-none", "tar-none", "tgz", "tar", "zeros"],
)
def test_what_a_step_packed_itself_stays_packed(
    tmp_path: Path, make: str, archive: dict[str, Json], begins: str
) -> None:
    # recorded from the real controller with GNU tar, which begins with "d/"; Python begins with "./PaxHeaders"
    made = python("make", make)
    made["outputs"] = {"artifacts": [{"name": "a", "path": "/tmp/a", "archive": archive}]}
    used = python("use", "print(open('/tmp/b', 'rb').read(2).hex())")
    used["inputs"] = {"artifacts": [{"name": "a", "path": "/tmp/b"}]}
    arguments = {"artifacts": [{"name": "a", "from": "{{steps.make.outputs.artifacts.a}}"}]}
    steps = [
        [{"name": "make", "template": "make"}],
        [{"name": "use", "template": "use", "arguments": arguments}],
    ]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, made, used))
    assert result.succeeded, result.message
    assert log(result, "use").strip() == begins.replace("642f", "2e2f")


def test_output_that_is_not_text(tmp_path: Path) -> None:
    # recorded from the real controller
    loud = shell("g", r"printf 'a\377b\303(\303\251\n\n'")
    use = {**shell("u", "true"), "inputs": {"parameters": [{"name": "l"}]}}
    arguments = {"parameters": [{"name": "l", "value": "{{steps.g.outputs.result}}"}]}
    steps = [[{"name": "g", "template": "g"}], [{"name": "u", "template": "u", "arguments": arguments}]]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, loud, use))
    assert node(result, "g")["outputs"]["result"] == "a\ufffdb\ufffd(\u00e9\n"


def test_a_parameter_that_is_not_text(tmp_path: Path) -> None:
    script = r"mkdir -p /tmp/out; printf 'a\377b' > /tmp/out/x"
    result = execute(tmp_path, workflow(shell("main", script, outputs=out("x"))))
    assert value(result, result.name, "x") == "a\ufffdb"


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_later(small: Path) -> None:
    made = shell("make", "head -c 6000000 /dev/urandom > /tmp/a")
    made["outputs"] = {"artifacts": [{"name": "a", "path": "/tmp/a", "archive": {"none": {}}}]}
    with pytest.raises(StoreError) as caught:
        execute(small, workflow(made), name="full")
    assert caught.value.code == "TIP411"
    assert "`tiphys run --resume full`" in caught.value.fix
    assert not (small / "store/runs/full/workflow.json").exists()
    assert not list((small / "store/artifacts/incoming").glob("*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    assert resume("full", options=RunOptions(store=small / "store")).succeeded


def test_what_a_step_cannot_write_itself_is_its_own_failure(small: Path) -> None:
    greedy = shell("greedy", "head -c 20000000 /dev/zero > /tmp/a || { rm /tmp/a; exit 9; }")
    result = execute(small, workflow(greedy))
    assert (result.phase, result.message) == ("Failed", "main: Error (exit code 9)")


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes everywhere")
def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.write_text("a file where the store should be")
    with pytest.raises(StoreError) as caught:
        execute(tmp_path, workflow(shell("main", "true")))
    assert caught.value.code == "TIP412"
