"""Structures of KFP's IR that have no word are refused: an order that is left out would be another pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.errors import RefusedError
from tiphys.importing import import_kfp
from tiphys.importing.check import made_by
from tiphys.importing.kfp_graph import converted

SAMPLE = Path(__file__).with_name("kfp") / "conditional.yaml"


def changed(folder: Path, condition: str) -> Path:
    """The sample with another condition of its first group."""
    ir: Any = next(yaml.safe_load_all(SAMPLE.read_text(encoding="utf-8")))
    ir["root"]["dag"]["tasks"]["condition-1"]["triggerPolicy"]["condition"] = condition
    file = folder / "flow.yaml"
    file.write_text(yaml.safe_dump(ir), encoding="utf-8")
    return file


BIG = "inputs.parameter_values['pipelinechannel--describe-big']"
TEXT = "inputs.parameter_values['pipelinechannel--describe-text']"


@pytest.mark.parametrize(
    ("condition", "when"),
    [
        (f"!({BIG} == true)", "{{=!(tasks.describe.outputs.parameters.big == 'true')}}"),
        (
            f"{BIG} == true && {TEXT} != 'x'",
            "{{=tasks.describe.outputs.parameters.big == 'true' && tasks.describe.outputs.parameters.text != 'x'}}",
        ),
    ],
)
def test_conditions(tmp_path: Path, condition: str, when: str) -> None:
    made: Any = made_by(import_kfp(changed(tmp_path, condition)).source, "pipeline")
    tasks = {each["name"]: each for each in made["spec"]["templates"][0]["dag"]["tasks"]}
    assert tasks["condition-1"]["when"] == when


def test_a_condition_without_a_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        import_kfp(changed(tmp_path, f"matches({TEXT}, 'x')"))
    assert caught.value.code == "TIP248" and "matches" in caught.value.cause


def test_numbers_are_what_their_types_say() -> None:
    assert converted({"a": 10.0, "b": [1.5]}, "dict") == {"a": 10, "b": [1.5]}
    assert converted([1.0], "list[float]") == [1.0] and converted(3, "float") == 3.0
    assert isinstance(converted(3, "float"), float) and isinstance(converted(3.0, "int"), int)
