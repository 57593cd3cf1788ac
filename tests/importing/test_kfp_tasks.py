"""What tasks of KFP ask for: attempts, resources, caches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tiphys.importing import import_kfp
from tiphys.importing.check import made_by

SAMPLES = Path(__file__).with_name("kfp")


def compiled(file: Path) -> dict[str, Any]:
    made: Any = made_by(import_kfp(file).source, "pipeline")
    return {each["name"]: each for each in made["spec"]["templates"]}


def test_attempts_resources_and_caches_of_a_task() -> None:
    found = compiled(SAMPLES / "words.yaml")
    assert found["add"]["retryStrategy"]["limit"] == "2"
    assert found["add"]["retryStrategy"]["backoff"] == {"duration": "10s", "factor": "2", "cap": "1h"} or (
        found["add"]["retryStrategy"]["backoff"]["duration"] == "10s"
    )
    assert found["add"]["script"]["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    assert "memoize" not in found["add"] and "memoize" in found["measure"]


def test_tasks_of_one_function_that_ask_for_different_things(tmp_path: Path) -> None:
    ir: Any = next(yaml.safe_load_all((SAMPLES / "handled.yaml").read_text(encoding="utf-8")))
    ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]["say-2"]["retryPolicy"] = {"maxRetryCount": 3}
    file = tmp_path / "flow.yaml"
    file.write_text(yaml.safe_dump(ir), encoding="utf-8")
    assert ".using(" in import_kfp(file).source
    limits = [
        each.get("retryStrategy", {}).get("limit") for name, each in compiled(file).items() if "say" in name
    ]
    assert "3" in limits and None in limits


def test_a_program_is_a_container() -> None:
    found = compiled(SAMPLES / "artifacts.yaml")["shell"]
    assert found["container"]["command"][-2:] == ["{{inputs.parameters.text}}", "/tmp/out"]
    assert found["outputs"]["parameters"] == [{"name": "out", "valueFrom": {"path": "/tmp/out"}}]


def test_an_environment_is_kept_and_other_settings_are_told(tmp_path: Path) -> None:
    ir: Any = next(yaml.safe_load_all((SAMPLES / "handled.yaml").read_text(encoding="utf-8")))
    box = ir["deploymentSpec"]["executors"]["exec-notify"]["container"]
    box |= {"env": [{"name": "A", "value": "b"}], "lifecycle": {"x": 1}}
    file = tmp_path / "flow.yaml"
    file.write_text(yaml.safe_dump(ir), encoding="utf-8")
    assert {"name": "A", "value": "b"} in compiled(file)["notify"]["script"]["env"]
    assert any("lifecycle" in each.what for each in import_kfp(file).told if each.kind == "dropped")
