"""Decoding against the schema: the kinds of values that Go's decoders refuse (``argo lint`` agrees: tests/lint)."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from tiphys.argo.decode import as_stored, check_types, decode
from tiphys.argo.schema import table
from tiphys.errors import RefusedError

WORKFLOW = table().roots["Workflow"]


def spec(**fields: Any) -> dict[str, Any]:
    return {"kind": "Workflow", "spec": fields}


@pytest.mark.parametrize(
    ("data", "kind", "path"),
    [
        (spec(entrypiont="a"), "unknown", ("spec", "entrypiont")),
        (spec(templates={"name": "a"}), "type", ("spec", "templates")),
        (spec(templates=["a"]), "type", ("spec", "templates", 0)),
        (spec(onExit=5), "bare", ("spec", "onExit")),
        (spec(parallelism=2**63), "range", ("spec", "parallelism")),
        (spec(suspend="true"), "type", ("spec", "suspend")),
        (spec(podResources={"limits": {"cpu": "many"}}), "shape", ("spec", "podResources", "limits", "cpu")),
    ],
)
def test_a_value_that_the_type_refuses_is_left_out_and_told(
    data: dict[str, Any], kind: str, path: tuple[str | int, ...]
) -> None:
    kept, misfits = decode({**data, "metadata": {"name": "a"}}, WORKFLOW)
    assert [(item.kind, item.path) for item in misfits] == [(kind, path)]
    assert isinstance(kept, dict) and kept["metadata"] == {"name": "a"}
    with_it = kept["spec"]
    assert isinstance(with_it, dict) and list(with_it) in ([], [path[1]])


def test_what_fits_is_kept_and_null_is_as_if_it_were_not_there() -> None:
    whole = spec(entrypoint="a", templates=[{"name": "a", "suspend": {}}], arguments=None)
    kept, misfits = decode(whole, WORKFLOW)
    assert misfits == []
    assert kept == spec(entrypoint="a", templates=[{"name": "a", "suspend": {}}])
    assert decode(spec(templates=[None]), WORKFLOW)[0] == spec(templates=[{}])  # Go's zero value


def test_numbers_are_texts_where_argo_takes_any_string() -> None:
    kept, misfits = decode(spec(arguments={"parameters": [{"name": "a", "value": 1.0}]}), WORKFLOW)
    assert misfits == []
    assert kept == spec(arguments={"parameters": [{"name": "a", "value": "1"}]})


def test_required_fields_are_asked_for_when_told_to() -> None:
    pod = table().objects["/v1/Pod"]
    data = {"kind": "Pod", "spec": {"containers": [{"image": "a"}]}}
    assert decode(data, pod)[1] == []
    (misfit,) = decode(data, pod, required=True)[1]
    assert (misfit.kind, misfit.path) == ("missing", ("spec", "containers", 0))


def test_only_wrong_types_make_an_object_none_of_its_kind() -> None:
    check_types(spec(entrypiont="a", onExit=5, parallelism=2**63), "Workflow")
    check_types({"data": {"a": 5}}, "ConfigMap")
    with pytest.raises(RefusedError, match=r"Workflow: spec.templates: ") as caught:
        check_types(spec(templates="a"), "Workflow")
    assert caught.value.code == "TIP298"
    with pytest.raises(RefusedError, match="read as a CronWorkflow"):
        check_types({"spec": {"workflowSpec": [1]}}, "CronWorkflow")


def test_mappings_and_sequences_of_any_make_are_jsons() -> None:
    check_types(spec(templates=(MappingProxyType({"name": "a"}), OrderedDict(name="b"))), "Workflow")


def test_null_is_nothing_as_a_field_and_empty_in_a_list() -> None:
    whole = spec(
        arguments={"parameters": [None, {"name": "a", "value": None}]},
        templates=[
            None,
            {"name": "a", "container": {"args": [None, "b"], "env": [None]}, "steps": [[None], None]},
        ],
        nodeSelector={"a": None},
        onExit=None,
    )
    read = as_stored(whole)
    assert read == spec(
        arguments={"parameters": [{}, {"name": "a"}]},
        templates=[{}, {"name": "a", "container": {"args": ["", "b"], "env": [{}]}, "steps": [[{}], []]}],
        nodeSelector={"a": ""},
    )
    assert decode(read, WORKFLOW) == decode(whole, WORKFLOW) == (read, [])


def test_nulls_of_free_json_and_of_the_status_stay() -> None:
    free = spec(templates=[{"steps": [[{"withItems": [None, {"a": None}]}]], "plugin": {"a": None}}])
    assert as_stored(free) == free
    status = {"kind": "Workflow", "metadata": None, "status": {"finishedAt": None}}
    assert as_stored(status) == {"kind": "Workflow", "status": {"finishedAt": None}}
    config = {"kind": "ConfigMap", "data": None}
    assert as_stored(config) is config
    plain = spec(entrypoint="a")
    assert as_stored(plain) is plain


def test_a_bare_number_or_boolean_is_the_text_that_argo_makes_of_it() -> None:
    """The texts are those of Argo's own AnyString (any_string.json); free JSON keeps what it is."""
    task = {"name": 1, "depends": True, "when": 1.50, "withItems": [1, True]}
    bare = spec(templates=[{"name": "a", "dag": {"tasks": [task]}, "metadata": {"labels": {"a": 1e21}}}])
    text = {"name": "1", "depends": "true", "when": "1.5", "withItems": [1, True]}
    read = spec(
        templates=[
            {"name": "a", "dag": {"tasks": [text]}, "metadata": {"labels": {"a": "1000000000000000000000"}}}
        ]
    )
    assert as_stored(bare) == read
    kept, misfits = decode(bare, WORKFLOW)
    assert kept == read and {each.kind for each in misfits} == {"bare"}
