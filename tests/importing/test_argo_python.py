"""The lines of a graph: order and conditions arrive in the compiled workflow."""

from __future__ import annotations

from tests.importing.flows import flow, imported, tasks

ECHO = """
  - name: echo
    outputs: {parameters: [{name: num, valueFrom: {path: /tmp/n}}]}
    container: {image: "alpine:3.20", command: [sh, -c, "echo 5 >/tmp/n"]}
"""


def test_order_conditions_and_hooks_are_as_they_were() -> None:
    main = """    dag:
      tasks:
      - name: last
        depends: first.Failed || first.Errored
        template: say
        when: "{{tasks.one.outputs.parameters.num}} > 3"
        arguments: {parameters: [{name: text, value: x}]}
        dependencies: []
        hooks: {exit: {template: say, arguments: {parameters: [{name: text, value: "{{workflow.name}}"}]}}}
      - {name: one, template: echo}
      - name: first
        depends: one
        template: say
        when: "{{tasks.one.outputs.parameters.num}} == five"
        arguments: {parameters: [{name: text, value: "{{tasks.one.outputs.parameters.num}}"}]}
"""
    main = main.replace(
        "depends: first.Failed || first.Errored", "depends: one && (first.Failed || first.Errored)"
    )
    made, compiled = imported(flow(main, ECHO))
    found = tasks(compiled)
    assert found["last"]["when"] == "{{tasks.one.outputs.parameters.num}} > 3"
    assert "first.Errored" in found["last"]["depends"] and "first.Failed" in found["last"]["depends"]
    assert found["first"]["when"] == "{{=tasks.one.outputs.parameters.num == 'five'}}"
    assert found["last"]["hooks"]["exit"]["template"] == "say"
    assert 'one.num == "five"' in made.source


def test_an_item_inside_of_text_keeps_the_graph() -> None:
    main = """    steps:
    - - {name: a, template: say, withItems: [1, 2], arguments: {parameters: [{name: text, value: "n {{item}}"}]}}
"""
    made, compiled = imported(flow(main))
    assert [each.kind for each in made.told if "'main'" in each.what] == ["kept"]
    assert compiled["spec"]["templates"][0]["steps"][0][0]["withItems"] == [1, 2]


def test_a_loop_over_an_output_is_one_over_the_value() -> None:
    main = """    steps:
    - - {name: list, template: echo}
    - - name: each
        template: say
        withParam: "{{steps.list.outputs.parameters.num}}"
        arguments: {parameters: [{name: text, value: "{{item}}"}]}
"""
    made, compiled = imported(flow(main, ECHO))
    assert "for_each(list_2.num)" in made.source
    assert tasks(compiled)["each"]["withParam"] == "{{tasks.list.outputs.parameters.num}}"
