"""Where artifacts lie: the fields of each kind of place, as the schema has them."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.argo.artifacts import LOCATIONS, key_of, location_of, with_key
from tiphys.argo.schema import table

# the field of each kind that says what in the place is meant (fields.md of Argo 4.1)
KEYS = {
    "s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "hdfs": "path", "artifactory": "url", "plugin": "key",
}  # fmt: skip
WITHOUT = {"raw": {"data": "x"}, "http": {"url": "https://h/x"}, "git": {"repo": "https://h/r"}}


def fields_of_artifacts() -> dict[str, str]:
    structs = table()
    inputs = structs.fields(structs.fields(structs.roots["Template"])["inputs"])
    return structs.fields(inputs["artifacts"].removeprefix("a"))


def test_the_kinds_of_places_are_those_of_the_schema() -> None:
    fields = fields_of_artifacts()
    structs = {name for name, kind in fields.items() if kind.startswith("#")}
    assert structs - {"archive", "artifactGC"} == set(LOCATIONS) == set(KEYS) | set(WITHOUT)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_the_key_is_a_field_of_the_schema(kind: str) -> None:
    fields = table().fields(fields_of_artifacts()[kind])
    assert fields[KEYS[kind]] == "s"
    artifact: dict[str, Any] = {"name": "a", kind: {KEYS[kind]: "my/key"}}
    assert location_of(artifact) == (kind, artifact[kind])
    assert key_of(artifact) == "my/key"
    moved = with_key({**artifact, kind: {**artifact[kind], "more": "stays"}}, "other/key")
    assert (key_of(moved), location_of(moved)) == (
        "other/key",
        (kind, {KEYS[kind]: "other/key", "more": "stays"}),
    )
    assert key_of(artifact) == "my/key"


@pytest.mark.parametrize("kind", sorted(WITHOUT))
def test_places_that_have_no_key(kind: str) -> None:
    assert location_of({kind: WITHOUT[kind]}) == (kind, WITHOUT[kind])
    assert key_of({kind: WITHOUT[kind]}) == ""


def test_an_artifact_without_a_place() -> None:
    assert location_of({"name": "a", "path": "/tmp/a"}) is None
    assert key_of({"name": "a", "s3": None}) == ""
    assert key_of({"s3": {}}) == ""
    assert with_key({"name": "a"}, "k") == {"name": "a", "s3": {"key": "k"}}
