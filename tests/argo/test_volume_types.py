"""The types of volumes and claims hold what the real controller took, and nothing else."""

from __future__ import annotations

import pytest

from tests.argo.fitting import misfits
from tests.conformance.own import cases
from tiphys.argo import types, volume_types


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("env-and-config", {"VolumeSpec", "ConfigMapVolume", "SecretVolume"}),
        ("claim-template", {"VolumeClaim", "VolumeClaimSpec", "VolumeResources"}),
    ],
)
def test_what_the_controller_took_fits(case: str, kinds: set[str]) -> None:
    met: set[str] = set()
    assert list(misfits(cases()[case].workflow, types.Workflow, met, exact=False)) == []
    assert met >= kinds


def test_a_field_of_another_kind_of_volume_does_not_fit() -> None:
    """A Secret's name is ``secretName`` in a volume of its own and ``name`` in a projected one (Kubernetes' API)."""
    plain, projected = (
        {"secret": {"secretName": "s"}},
        {"projected": {"sources": [{"secret": {"name": "s"}}]}},
    )
    assert list(misfits([plain, projected], list[volume_types.VolumeSpec], set())) == []
    wrong = [{"secret": {"name": "s"}}, {"projected": {"sources": [{"secret": {"secretName": "s"}}]}}]
    assert len(list(misfits(wrong, list[volume_types.VolumeSpec], set()))) == 2
