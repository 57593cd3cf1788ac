"""auto, refresh, never for one run: what the second run hands out tells whether it computed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.cluster.fakes import server
from tiphys.argo.cache_mode import NOTHING_EARLIER
from tiphys.engine import RunOptions, RunResult
from tiphys.errors import RefusedError
from tiphys.runs import Response

pytestmark = pytest.mark.long

FILE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Retry, component

    @component(cache=Cache.by_content())
    def count(text: str) -> str:
        import uuid
        return text + uuid.uuid4().hex

    @component(cache=Cache.by_content(), retry=Retry(limit=1))
    def again(text: str) -> str:
        import uuid
        return text + uuid.uuid4().hex

    with Pipeline("modes") as pipeline:
        count(text="a")
        again(text="b")
    """
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "modes.py"
    path.write_text(FILE)
    return path


def run(file: Path, **more: Any) -> RunResult:
    return tiphys.run(
        str(file), options=RunOptions(store=file.parent / "store", handle_signals=False), **more
    )


def results(result: RunResult) -> dict[str, str]:
    assert result.phase == "Succeeded", result.message
    nodes = result.workflow["status"]["nodes"].values()
    return {
        node["displayName"]: node["outputs"]["parameters"][0]["value"]
        for node in nodes
        if node["displayName"] in ("count", "again")
    }


def test_refresh_reads_nothing_and_stores_and_never_does_neither(file: Path) -> None:
    first = results(run(file))
    assert results(run(file)) == first
    never = results(run(file, cache="never"))
    assert not set(never.values()) & set(first.values())
    assert results(run(file)) == first, "never stores nothing"
    fresh = results(run(file, cache="refresh"))
    assert not set(fresh.values()) & {*first.values(), *never.values()}
    assert results(run(file)) == fresh, "refresh stores"


def test_equal_steps_of_a_run_that_refreshes_compute_once(file: Path) -> None:
    """They waited for each other, and each computed. What an earlier run made is not taken, however young."""
    head = FILE.split("with Pipeline", 1)[0]
    text = f"{head}with Pipeline('modes') as pipeline:\n    for _ in range(3):\n        count(text='a')\n"
    file.write_text(text.replace("import uuid\n", "import time, uuid\n    time.sleep(2.5)\n", 1))

    def made(result: RunResult) -> set[str]:
        assert result.phase == "Succeeded", result.message
        nodes = result.workflow["status"]["nodes"].values()
        return {n["outputs"]["parameters"][0]["value"] for n in nodes if n["displayName"].startswith("count")}

    (first,) = made(run(file))
    (fresh,) = made(run(file, cache="refresh"))
    assert fresh != first
    assert made(run(file)) == {fresh}


def test_equal_runs_that_refresh_do_not_compute_side_by_side(file: Path) -> None:
    """Single flight: each waits for the one before it, since the key's mutex stays."""
    text = FILE.replace(
        "import uuid\n",
        "import time, os, uuid\n    mine = os.path.join(os.environ['DIR'], text)\n    os.mkdir(mine)\n"
        "    time.sleep(0.3)\n    os.rmdir(mine)\n",
    )
    file.write_text(text)
    phases: list[str] = []
    options = RunOptions(store=file.parent / "store", handle_signals=False, env={"DIR": str(file.parent)})

    def one() -> None:
        phases.append(tiphys.run(str(file), options=options, cache="refresh").phase)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert phases == ["Succeeded"] * 3


def test_on_the_command_line(file: Path) -> None:
    def tiphys_run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tiphys", "run", *words, "--store", str(file.parent / "store")]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert tiphys_run(str(file), "--name", "one").returncode == 0
    assert "hit" in tiphys_run(str(file)).stdout
    done = tiphys_run(str(file), "--cache", "refresh")
    assert done.returncode == 0 and "hit" not in done.stdout
    refused = tiphys_run("--resume", "one", "--cache", "never")
    assert refused.returncode == 2 and "TIP297" in refused.stderr


def test_a_parameter_of_that_name_is_not_guessed(file: Path) -> None:
    text = FILE.replace('count(text="a")', 'count(text=pipeline.param("cache", "a"))')
    file.write_text(text)
    with pytest.raises(RefusedError) as caught:
        run(file, cache="never")
    assert caught.value.code == "TIP284"


def test_a_cluster_is_sent_the_same_workflow(file: Path) -> None:
    client, transport = server(lambda request: Response.of({"metadata": {"name": "modes-abcde"}}))
    client.submit(str(file), cache="refresh")
    templates = transport.requests[-1].body["workflow"]["spec"]["templates"]
    ages = [t["memoize"]["maxAge"] for t in templates if "memoize" in t]
    assert ages == [NOTHING_EARLIER] * 2
    here = run(file, cache="refresh").workflow["spec"]["templates"]
    assert [t["memoize"] for t in here if "memoize" in t] == [
        t["memoize"] for t in templates if "memoize" in t
    ]
    with pytest.raises(RefusedError) as caught:
        client.submit({"kind": "Workflow", "spec": {"workflowTemplateRef": {"name": "x"}}}, cache="never")
    assert caught.value.code == "TIP285" and len(transport.requests) == 1


BY_KEY = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Reference, TFJob, component
    from modes_trainer import train

    @component(cache=Cache.by_content())
    def publish() -> Reference:
        import os, uuid
        from tiphys.reference import resolve, seal
        uri = "pvc://tiphys/sets/" + os.environ["TIPHYS_CACHE_KEY"]
        folder = resolve(uri)
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "data").write_text(uuid.uuid4().hex)
        return Reference(uri, seal(folder))

    @component
    def see(one: Reference, two: Reference) -> str:
        from tiphys.reference import resolve
        return (resolve(one.uri) / "data").read_text() + " " + (resolve(two.uri) / "data").read_text()

    job = TFJob(train, workers=1, retry=RETRY, cache=Cache.by_content())
    with Pipeline("by-key") as pipeline:
        see(one=publish(), two=job().model)
    """
)
TRAINER = """
import os, uuid

def train(output: str, work: str) -> None:
    from tiphys.reference import resolve, seal
    folder, work = resolve(output), resolve(work)
    if not work.exists():
        work.mkdir(parents=True)
        (work / "backup").write_text(uuid.uuid4().hex)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_text((work / "backup").read_text())
    seal(folder)

if __name__ == "__main__":
    train(os.environ["TIPHYS_INPUT_OUTPUT"], os.environ["TIPHYS_INPUT_WORK"])
"""


@pytest.mark.parametrize("retry", [True, False])
def test_a_folder_that_is_named_after_the_key_is_a_new_one(tmp_path: Path, retry: bool) -> None:
    """Else a step that keeps what it finds there (a data set, a backup) would hand out what was not to be read, and
    one that writes it anew would change what others were given."""
    (tmp_path / "modes_trainer.py").write_text(TRAINER)
    file = tmp_path / "by_key.py"
    file.write_text(BY_KEY.replace("RETRY", str(retry)))

    def seen(**more: Any) -> set[str]:
        nodes = run(file, **more).workflow["status"]["nodes"].values()
        return set(
            next(n for n in nodes if n["displayName"] == "see")["outputs"]["parameters"][0]["value"].split()
        )

    first = seen()
    assert len(first) == 2 and seen() == first
    never = seen(cache="never")
    assert not never & first and seen() == first, "what was stored is as it was"
    fresh = seen(cache="refresh")
    assert not fresh & (first | never) and seen() == fresh
