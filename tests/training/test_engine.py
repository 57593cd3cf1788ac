"""The engine of a job holds the job's lock for as long as it lives, and nothing that it starts does."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from tiphys.runs import Client

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: one}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox, command: [sh, -c, "ls -l /proc/$$/fd | grep -c lock || true"]}
"""
RUN = """
import os, runpy, sys
lock = os.open(sys.argv[1], os.O_RDWR)
os.dup2(lock, 3)
sys.argv = ["engine", *sys.argv[2:]]
runpy.run_module("tiphys.training.engine", run_name="__main__")
"""


def test_it_runs_a_file_and_its_steps_have_no_lock(tmp_path: Path) -> None:
    file, lock = tmp_path / "w.yaml", tmp_path / "the.lock"
    file.write_text(WORKFLOW)
    lock.touch()
    options = {
        "store": str(tmp_path / "store"),
        "runner": "process",
        "network": "",
        "images": {"*": "host"},
        "project": "",
    }
    words = [sys.executable, "-c", RUN, str(lock), "one", str(file), json.dumps(options)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line.text for line in Client(store=tmp_path / "store").logs("one")][-1] == "0"
    handle = os.open(lock, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back with its end
    os.close(handle)


def test_what_is_refused_is_said_in_one_line(tmp_path: Path) -> None:
    lock = tmp_path / "the.lock"
    lock.touch()
    options = {"store": str(tmp_path), "runner": "process", "network": "", "images": {}, "project": ""}
    words = [sys.executable, "-c", RUN, str(lock), "one", str(tmp_path / "gone.yaml"), json.dumps(options)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("TIP")
    assert "Traceback" not in done.stderr
