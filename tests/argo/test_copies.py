import copy

from tiphys.argo.copies import plain_copy


def test_a_copy_is_that_of_deepcopy() -> None:
    value = {"a": [1, 1.5, "x", None, True, [], {}, {"b": ["y", {"c": "z"}]}], "d": {"e": {}}, "f": "g"}
    made = plain_copy(value)
    assert made == copy.deepcopy(value)
    made["a"][7]["b"][1]["c"] = "changed"  # type: ignore[index]
    made["d"]["e"]["new"] = 1  # type: ignore[index, call-overload]
    assert value["a"][7]["b"][1] == {"c": "z"}  # type: ignore[index]
    assert value["d"] == {"e": {}}
