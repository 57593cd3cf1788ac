"""The compact table of fields: whole, and what the typed models of Hera know is in it."""

from __future__ import annotations

import pytest
from hera.workflows import models

from tiphys.argo.schema import table


def test_every_type_that_is_named_is_there() -> None:
    found = table()
    assert len(found.structs) == len(found.required)
    named = [
        *found.roots.values(),
        *found.objects.values(),
        *(kind for one in found.structs for kind in one.values()),
    ]
    numbers = [int(kind.rpartition("#")[2]) for kind in named if "#" in kind]
    assert numbers and max(numbers) < len(found.structs)


def test_what_is_required_is_a_field() -> None:
    found = table()
    assert any(found.required)
    for fields, required in zip(found.structs, found.required, strict=True):
        assert set(required) <= set(fields)


NEWER = {"Template": {"pendingTimeout", "podResources", "resourceClaims"}}
"""Fields of Argo 4.1 that Hera's models do not have yet."""


@pytest.mark.parametrize("root", ["Template", "WorkflowStep", "Workflow"])
def test_fields_are_those_of_the_generated_models(root: str) -> None:
    known = {field.alias or name for name, field in getattr(models, root).model_fields.items()}
    assert set(table().fields(table().roots[root])) == known | NEWER.get(root, set())


def test_it_is_read_once() -> None:
    assert table() is table()
