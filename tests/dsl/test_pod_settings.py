"""The settings of one step's pod: what they are, and what is refused at the author's line."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hera.workflows.models import HostAlias
from hera.workflows.models import Volume as HeraVolume

from tests.dsl.told import check_told
from tiphys import PodSettings, Scratch, Volume


def test_mappings_become_frozen() -> None:
    made = PodSettings(
        labels={"team": "b", "a.example/tier": "1"},
        host_aliases={"10.0.0.7": ["db", "db.example"]},
        volumes=[Scratch("/scratch")],
        patch={"dnsPolicy": "Default"},
    )
    assert made.labels == (("a.example/tier", "1"), ("team", "b"))
    assert hash(made) == hash(dataclasses.replace(made))
    (alias,) = (HostAlias.model_validate(each) for each in made.aliases())
    assert (alias.ip, alias.hostnames) == ("10.0.0.7", ["db", "db.example"])
    assert made.patch == '{"dnsPolicy":"Default"}'


@pytest.mark.parametrize(
    ("scratch", "expected"),
    [
        (Scratch("/s"), {"emptyDir": {}}),
        (Scratch("/s", "20Gi"), {"emptyDir": {"sizeLimit": "20Gi"}}),
        (Scratch("/s", "1Gi", on="memory"), {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}),
    ],
)
def test_scratch_is_a_folder_of_the_pod(scratch: Scratch, expected: dict[str, Any]) -> None:
    assert scratch.volume("v") == {"name": "v", **expected}
    HeraVolume.model_validate(scratch.volume("v"))


def test_scratch_on_a_claim_is_made_for_the_pod() -> None:
    made = HeraVolume.model_validate(Scratch("/s", "20Gi", on="claim", storage_class="fast").volume("v"))
    assert made.ephemeral is not None
    assert made.ephemeral.volume_claim_template is not None
    spec = made.ephemeral.volume_claim_template.spec
    assert (spec.access_modes, spec.storage_class_name) == (["ReadWriteOnce"], "fast")


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (lambda: Scratch("scratch"), "TIP101", "mount path"),
        (lambda: Scratch("/s", "20 GB"), "TIP109", "quantity"),
        (lambda: Scratch("/s", on="disk"), "TIP109", "disk"),  # type: ignore[arg-type]
        (lambda: Scratch("/s", on="claim"), "TIP104", "size"),
        (lambda: Scratch("/s", "1Gi", storage_class="fast"), "TIP105", "storage class"),
        (lambda: PodSettings(service_account="The Trainer"), "TIP101", "service account"),
        (lambda: PodSettings(labels={"team": "of anna"}), "TIP101", "of anna"),
        (lambda: PodSettings(labels={"team!": "a"}), "TIP101", "team!"),
        (lambda: PodSettings(labels={"team": 5}), "TIP105", "text"),  # type: ignore[dict-item]
        (lambda: PodSettings(annotations="x"), "TIP105", "annotations"),  # type: ignore[arg-type]
        (lambda: PodSettings(volumes=["datasets"]), "TIP105", "Volume("),  # type: ignore[list-item]
        (lambda: PodSettings(host_aliases={"db": ["10.0.0.7"]}), "TIP105", "no address"),
        (lambda: PodSettings(host_aliases={"10.0.0.7": "db"}), "TIP105", "10.0.0.7"),
        (lambda: PodSettings(patch={"dnsPolcy": "Default"}), "TIP103", "dnsPolicy"),
        (lambda: PodSettings(patch=[{}]), "TIP105", "patch"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_told_at_its_line(given: Any, code: str, words: str) -> None:
    check_told(given, code, words, __file__)


def test_one_volume_needs_no_list() -> None:
    assert PodSettings(volumes=Volume("datasets")).volumes == (Volume("datasets"),)  # type: ignore[arg-type]
