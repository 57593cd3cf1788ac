"""Tags in strings and objects, as Argo 4.1.2 replaces them."""

from __future__ import annotations

import pytest

from tiphys.expr.tags import Layers, NotReadyError, TagError, compile_plan, substitute

SCOPE = Layers(
    {
        "inputs.parameters.x": "foo/bar<&>",
        "inputs.parameters.y-z": "3",
        "workflow.parameters": "[]",
        "workflow.parameters.p": 'say "hi"\n',
        "steps.gone.outputs.parameters.o": None,
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{inputs.parameters.x}}", "foo/bar<&>"),
        ("{{ inputs.parameters.y-z }} times", "3 times"),
        ("{{workflow.parameters.p}}", 'say "hi"\n'),
        ("{{unknown}} stays", "{{unknown}} stays"),
        ("{{a.{{inputs.parameters.y-z}}}}", "{{a.3}}"),
        ("{{=asInt(inputs.parameters['y-z']) + 1}}", "4"),
        ("{{=inputs.parameters['y-z'] == '3'}}", "true"),
        ("{{=[1, 2.0]}}", "[1,2]"),
        ("{{=inputs.parameters.nothing}}", "{{=inputs.parameters.nothing}}"),
        ("{{=workflow.parameters.p[1:-1]}}", 'ay "hi"'),
        ("{{=toJson(workflow.parameters.p)[1:-1]}}", 'say \\"hi\\"\\n'),
        ("no tag {", "no tag {"),
        # a hash that the real controller made of the same values
        (
            "hi-{{=sprig.trunc(32, sprig.sha256sum(toJson([inputs.parameters.x, inputs.parameters['y-z']])))}}",
            "hi-214ac5f0add9949ffa659774debae684",
        ),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert substitute(text, SCOPE) == expected


def test_strict_names_must_resolve() -> None:
    with pytest.raises(TagError, match=r"failed to resolve \{\{unknown\}\}"):
        substitute("{{unknown}}", SCOPE, strict=None)
    with pytest.raises(NotReadyError):
        substitute("{{steps.a.outputs.result}}", SCOPE, strict=("steps.",))
    assert substitute("{{item}}", SCOPE, strict=("steps.",)) == "{{item}}"


def test_the_output_of_a_skipped_node_cannot_be_put_into_text() -> None:
    with pytest.raises(TagError, match="absent optional"):
        substitute("<{{steps.gone.outputs.parameters.o}}>", SCOPE)
    assert substitute("{{=steps.gone.outputs.parameters.o ?? 'none'}}", SCOPE) == "none"


def test_the_word_item_waits_for_a_loop_whatever_it_means() -> None:
    """A real 4.0.5 left ``{{=toJson(inputs.parameters.item)}}`` in a template as it was: it looks for the word."""
    scope = Layers({"inputs.parameters.item": "0.3", "inputs.parameters.items": "[1]"})
    for text in ("{{=toJson(inputs.parameters.item)}}", "{{=inputs.parameters.item + 'x'}}"):
        assert substitute(text, scope) == text
    assert substitute("{{=inputs.parameters['item']}}", scope) == "0.3"
    assert substitute("{{=inputs.parameters.items}}", scope) == "[1]"
    assert substitute("{{inputs.parameters.item}}", scope) == "0.3"
    assert (
        substitute("{{=toJson(inputs.parameters.item)}}", Layers({**scope.maps[0], "item": "7"})) == '"0.3"'
    )


def test_only_what_holds_a_tag_is_copied() -> None:
    value = {"still": {"a": [1]}, "moves": ["{{inputs.parameters.x}}", {"{{inputs.parameters.y-z}}": 1}]}
    plan = compile_plan(value)
    assert plan is not None
    result = plan.render(value, lambda text: substitute(text, SCOPE))
    assert result == {"still": {"a": [1]}, "moves": ["foo/bar<&>", {"3": 1}]}
    assert result["still"] is value["still"]
    assert compile_plan({"a": ["b"]}) is None
