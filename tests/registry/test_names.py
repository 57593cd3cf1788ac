"""A model's name is that of a Service (RFC 1035) and part of a ConfigMap's (RFC 1123): a table of both."""

from __future__ import annotations

import pytest

from tiphys.argo.names import subdomain_problem
from tiphys.errors import RefusedError
from tiphys.registry.names import check_alias, check_model_name, config_map, named_by, page_map


@pytest.mark.parametrize("name", ["a", "fashion-mnist", "m2", "a" * 50])
def test_names_that_kubernetes_takes(name: str) -> None:
    check_model_name(name)
    assert not subdomain_problem(config_map(name)) and not subdomain_problem(page_map(name, 999999))
    assert len(page_map(name, 1)) <= 253


@pytest.mark.parametrize("name", ["", "A", "2m", "a_b", "a.b", "-a", "a-", "a" * 51, "a\n", "ä"])
def test_names_that_it_does_not(name: str) -> None:
    with pytest.raises(RefusedError, match="TIP260"):
        check_model_name(name)


@pytest.mark.parametrize("alias", ["champion", "Staging_2", "a", "last", "vx"])
def test_aliases(alias: str) -> None:
    check_alias(alias)


@pytest.mark.parametrize(
    "alias", ["", "3", "v3", "V12", "latest", "Latest", "a b", "a/b", "-a", "a-", "a" * 64]
)
def test_no_aliases(alias: str) -> None:
    """What says a version already is none, as in MLflow."""
    with pytest.raises(RefusedError, match="TIP260"):
        check_alias(alias)


def test_no_page_has_the_name_of_another_models_document() -> None:
    assert page_map("a", 1) != config_map("a-audit-000001")
    assert "." in page_map("a", 1).removeprefix("tiphys-models-a")


def test_whose_a_configmap_is() -> None:
    assert named_by(config_map("fashion-mnist")) == ("fashion-mnist", 0)
    assert named_by(page_map("fashion-mnist", 12)) == ("fashion-mnist", 12)
    for other in (
        "tiphys-models",
        "tiphys-models-",
        "tiphys-models-A",
        "tiphys-models-a.b",
        "x-tiphys-models-a",
    ):
        assert named_by(other) is None
