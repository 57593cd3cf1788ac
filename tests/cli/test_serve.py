"""``tiphys serve``: a folder, or a model of the registry."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs.test_served import answer, model
from tests.serving.conftest import until
from tiphys.cli import main
from tiphys.runs.registry import Registry


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "TIP297"),
        (("folder", "--registry", "m"), "TIP297"),
        (("--registry", "m", "--name", "other"), "TIP297"),
        (("--registry", "m"), "TIP261"),
        (("--registry", "m", "--alias", "v1"), "TIP260"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], code: str, tmp_path: Path, capsys: Any) -> None:
    assert main(["serve", *words, "--store", str(tmp_path)]) == 2
    assert code in capsys.readouterr().err


FAKED = """
import sys
from tiphys.runs.served import Followed
from tiphys.cli import main
Followed.flags = [*Followed.flags, "--tiphys_loader=tiphys.serving.model.fake:load"]
raise SystemExit(main(sys.argv[1:]))
"""


def test_it_may_be_kserves_api(monkeypatch: Any) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("tiphys.serving.serve_forever", lambda *_, **options: given.update(options) or 0)
    assert main(["serve", "folder"]) == 0 and given["flags"] == []
    assert main(["serve", "folder", "--kserve-v1"]) == 0
    assert given["flags"] == ["--tiphys_protocol=kserve-v1"]


def test_a_model_of_the_registry_is_followed_until_a_signal(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in (1, 2):
        registry.register("m", model(tmp_path, f"v{number}", offset=number))
        registry.alias("m", "champion", number)
    words = ["serve", "--registry", "m", "--port", "0", "--store", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-c", FAKED, *words], stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as server:
        assert server.stderr is not None
        try:
            found = next(filter(None, (re.search(r"at (http://\S+?)/v1", line) for line in server.stderr)))
            assert answer(found[1]) == 2
            registry.rollback("m", "champion")
            until(lambda: answer(found[1]) == 1)
        finally:
            server.send_signal(signal.SIGTERM)
            said = server.stderr.read()
    assert server.returncode == 0 and "m: version 1\n" in said
