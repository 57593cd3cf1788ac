"""``jqFilter``: what Argo 4.1.2 (gojq) made of these filters, recorded from the real controller."""

from __future__ import annotations

import pytest

from tiphys.engine.objects.jq import JqError, jq

OBJECT = {
    "kind": "ConfigMap",
    "metadata": {"name": "rt-jq"},
    "data": {"z": "1", "a": "<&>é", "n": "x\ny"},
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{b:1,a:"<&>"}', '{"a":"\\u003c\\u0026\\u003e","b":1}'),
        (".data|keys", '["a","n","z"]'),
        ('.data|to_entries|map(select(.value>"1"))|length', "2"),
        (".data.a,.data.z", "<&>é\n1"),
        (".data.nosuch", "null"),
        (".data|tojson", '{"a":"<&>é","n":"x\\ny","z":"1"}'),
        (".data|@json", '{"a":"<&>é","n":"x\\ny","z":"1"}'),
        ("[.data[]]", '["\\u003c\\u0026\\u003eé","x\\ny","1"]'),
        ("[limit(2;.data[])]", '["\\u003c\\u0026\\u003eé","x\\ny"]'),
        ("1e3, 1.0, 100000000000000000000, null, true", "1000\n1\n100000000000000000000\nnull\ntrue"),
        (".data.n", "x\ny"),
        ('.metadata.name|test("^rt")', "true"),
        ('"\\(.data.z)x"', "1x"),
        (".data|with_entries(.value|=length)", '{"a":4,"n":3,"z":1}'),
        ('@base64 "a\\(.data.z)"', "aMQ=="),
        (".data.z|tonumber|.*2", "2"),
        ("empty", ""),
        ('"  a  "', "a"),
        (".data|length,keys[0]", "3\na"),
    ],
)
def test_results(text: str, result: str) -> None:
    assert jq(OBJECT, text) == result


@pytest.mark.parametrize("text", [".[", ".data.z.y", 'error("x")', ".data[0]", "nosuch"])
def test_what_fails(text: str) -> None:
    with pytest.raises(JqError):
        jq(OBJECT, text)


@pytest.mark.parametrize("text", ["[paths]" * 30, "[range(1e9)]", "last(repeat(1))"])
def test_what_never_ends_or_wants_all_memory(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the fuzzer: libjq cannot be interrupted, so the engine was lost."""
    monkeypatch.setattr("tiphys.engine.objects.jq._SECONDS", 1)
    monkeypatch.setattr("tiphys.engine.objects.jq._BYTES", 512 << 20)
    with pytest.raises(JqError, match="processor time"):
        jq(OBJECT, text)
