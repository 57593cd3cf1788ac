"""The finished run in the Argo UI. TIPHYS_UPDATE_DOCS=1 puts the picture into docs/."""

from __future__ import annotations

import os
import runpy
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT, Cluster, Mission

pytestmark = [pytest.mark.cluster]


@pytest.fixture(scope="module")
def chromium() -> None:
    if shutil.which("chromium"):
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("update -qq", "install -y -qq --no-install-recommends chromium"):
        subprocess.run(["apt-get", *command.split()], check=True, capture_output=True, timeout=600, env=env)


@pytest.mark.usefixtures("chromium")
def test_the_argo_ui_draws_the_run(mission: Mission, applied: Cluster, tmp_path: Path) -> None:
    picture = runpy.run_path(str(ROOT / "docs" / "argo_ui.py"))["picture"]
    out = tmp_path / "argo-ui.png"
    picture(f"http://{applied.env['ARGO_SERVER']}", "argo", mission.result.name, out)
    data = out.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 1300 and height >= 900
    if os.environ.get("TIPHYS_UPDATE_DOCS"):
        shutil.copy(out, ROOT / "docs" / "argo-ui.png")
