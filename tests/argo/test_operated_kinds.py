"""The words of the training operator's kinds, beside the operator's own definitions where they are here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.argo.operated_kinds import OPERATED

ROOT = Path(__file__).resolve().parent.parent.parent
DEFINITIONS = Path(os.environ.get("TIPHYS_SHARED") or ROOT.parent / "shared") / "cluster" / "crds"


@pytest.mark.parametrize("kind", ["TFJob", "PyTorchJob"])
def test_replicas_are_where_the_operator_looks_for_them(kind: str) -> None:
    file = DEFINITIONS / f"kubeflow.org_{kind.lower()}s.yaml"
    if not file.exists():
        pytest.skip(f"the operator's definitions are not here: {file}")
    definition: Any = yaml.safe_load(file.read_text())
    assert definition["spec"]["names"]["kind"] == kind
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    replica = schema["properties"][OPERATED[kind].field]["additionalProperties"]["properties"]
    assert {"replicas", "restartPolicy", "template"} <= set(replica)


def test_each_kind_has_words_of_its_own() -> None:
    assert len({each.field for each in OPERATED.values()}) == len(OPERATED)
