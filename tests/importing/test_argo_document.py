"""Whole workflows: graphs inside graphs, exit handlers, recursion, what no task calls."""

from __future__ import annotations

from pathlib import Path

from tests.importing.flows import flow, imported, outcome, tasks, templates

NESTED = """
  - name: part
    inputs: {parameters: [{name: word}, {name: mark, value: "!"}]}
    outputs: {parameters: [{name: num, valueFrom: {parameter: "{{steps.s.outputs.parameters.num}}"}}]}
    steps:
    - - {name: s, template: shell, arguments: {parameters: [{name: text, value: "{{inputs.parameters.word}}"}]}}
    - - {name: t, template: say, arguments: {parameters: [{name: text, value: "{{inputs.parameters.mark}}"}]}}
  - name: shell
    inputs: {parameters: [{name: text}]}
    outputs: {parameters: [{name: num, valueFrom: {path: /tmp/n}}]}
    container: {image: "alpine:3.20", command: [sh, -c, 'printf "$0" >/tmp/n', "{{inputs.parameters.text}}"]}
  - name: bye
    steps:
    - - {name: b, template: say, arguments: {parameters: [{name: text, value: "{{workflow.status}}"}]}}
  - name: unused
    script: {image: "python:3.12", command: [python3], source: "print(1)"}
"""
MAIN = """    inputs: {parameters: [{name: start}]}
    dag:
      tasks:
      - {name: p, template: part, arguments: {parameters: [{name: word, value: "{{inputs.parameters.start}}"}]}}
      - name: q
        depends: p
        template: say
        arguments: {parameters: [{name: text, value: "{{tasks.p.outputs.parameters.num}}"}]}
"""
SPEC = "  onExit: bye\n  arguments: {parameters: [{name: start, value: hey}]}\n"


def test_a_graph_in_a_graph_an_exit_handler_and_what_nobody_calls(tmp_path: Path) -> None:
    text = flow(MAIN, NESTED, SPEC)
    made, compiled = imported(text)
    assert {"main", "part", "say", "shell", "bye", "unused"} == set(templates(compiled))
    assert templates(compiled)["unused"]["script"]["source"] == "print(1)"
    assert compiled["spec"]["onExit"] == "bye" and "with pipeline.exit_handler" in made.source
    assert tasks(compiled)["p"]["arguments"]["parameters"][0]["value"] == "{{workflow.parameters.start}}"
    assert outcome(text, tmp_path / "a") == outcome(compiled, tmp_path / "b")
    assert [each.kind for each in made.told if "'unused'" in each.what] == ["kept"]


def test_what_calls_itself_stays_as_it_is() -> None:
    main = """    steps:
    - - {name: s, template: say, arguments: {parameters: [{name: text, value: x}]}}
    - - {name: again, template: main, when: "{{workflow.name}} == x"}
"""
    made, compiled = imported(flow(main))
    assert any("calls itself" in each.why for each in made.told)
    assert "steps" in templates(compiled)["main"] and compiled["spec"]["entrypoint"] == "main"


def test_a_workflow_of_one_pod_is_a_task() -> None:
    text = flow("    container: {image: 'alpine:3.20', command: [echo, hi]}\n").replace("main", "hello")
    made, compiled = imported(text)
    assert tasks(compiled).keys() == {"hello"}
    assert any("which a pipeline has around it" in each.why for each in made.told)


def test_the_security_of_a_pod_is_that_of_the_source() -> None:
    _, compiled = imported(flow(MAIN, NESTED, SPEC + "  securityContext: {runAsUser: 8737}\n"))
    assert compiled["spec"]["securityContext"] == {"runAsUser": 8737}
