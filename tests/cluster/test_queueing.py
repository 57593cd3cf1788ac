"""The schemas that objects of Kueue and Volcano are validated with are those of the projects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.queueing import KUEUE, VOLCANO
from tests.cluster.upstream import CRATES, fetch, fields, schema

OWN: dict[str, Any] = {
    item["spec"]["names"]["kind"]: item["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].get(
        "spec"
    )
    for item in (*KUEUE, *VOLCANO)
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    try:
        return fetch(tmp_path_factory.mktemp("cargo"))
    except OSError as error:
        pytest.skip(f"the published types of Kueue and Volcano could not be fetched: {error}")


@pytest.mark.parametrize("kind", CRATES)
def test_fields_types_enumerations_and_what_is_required_are_the_projects_own(
    kind: str, sources: dict[str, str]
) -> None:
    theirs = fields(schema(sources[kind], kind))
    assert len(theirs) > 3
    assert fields(OWN[kind]) == theirs
