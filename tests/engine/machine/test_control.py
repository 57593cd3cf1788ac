"""Steps, DAGs, conditions, loops: which nodes there are and how they end (Argo 4.1.2)."""

from __future__ import annotations

from tests.engine.machine.driving import drive, named, parameter, phases

SAY = """
- name: say
  inputs: {parameters: [{name: x, default: hello}]}
  container: {image: i, args: ["{{inputs.parameters.x}}"]}
  outputs: {parameters: [{name: r, valueFrom: {path: /r}}]}
- name: fail
  container: {image: i, args: [fail]}
"""


def test_steps_run_in_order_and_pass_values_on() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: say, arguments: {parameters: [{name: x, value: one}]}}
  - - {name: b, template: say, arguments: {parameters: [{name: x, value: "{{steps.a.outputs.parameters.r}} two"}]}}
  outputs: {parameters: [{name: all, valueFrom: {parameter: "{{steps.b.outputs.parameters.r}}"}}]}
"""
        + SAY
    )
    assert made.phase == "Succeeded"
    assert parameter(named(made, "wf"), "outputs", "all") == "one two"
    assert [named(made, name)["type"] for name in ("wf", "wf[0]", "wf[0].a")] == ["Steps", "StepGroup", "Pod"]
    assert made.nodes["wf"]["children"] == [named(made, "wf[0]")["id"]]
    assert named(made, "wf[0].a")["children"] == [named(made, "wf[1]")["id"]]


def test_a_failed_step_fails_its_group_and_later_groups_get_no_nodes() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: fail}
    - {name: b, template: say}
  - - {name: c, template: say}
"""
        + SAY
    )
    failed = f"child '{named(made, 'wf[0].a')['id']}' failed"
    assert (made.phase, made.message) == ("Failed", failed)
    assert named(made, "wf[0]")["message"] == failed
    assert "wf[1]" not in phases(made)
    assert phases(made)["wf[0].b"] == "Succeeded"


def test_continue_on_failed() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: fail, continueOn: {failed: true}}
  - - {name: b, template: say, when: "{{steps.a.status}} == Failed"}
"""
        + SAY
    )
    assert made.phase == "Succeeded"
    assert phases(made)["wf[1].b"] == "Succeeded"


def test_when_is_false_and_the_rest_is_not_asked_for() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: say}
  - - name: b
      template: say
      when: "{{steps.a.status}} == Failed"
      arguments: {parameters: [{name: x, value: "{{steps.a.outputs.parameters.nowhere}}"}]}
"""
        + SAY
    )
    node = named(made, "wf[1].b")
    assert made.phase == "Succeeded"
    assert (node["type"], node["phase"]) == ("Skipped", "Skipped")
    assert node["message"] == "when 'Succeeded == Failed' evaluated false"


def test_depends_decides_and_omitted_tasks_inherit_the_failure() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - {name: a, template: fail}
    - {name: b, template: say, depends: a}
    - {name: c, template: say, depends: a.Failed}
    - {name: d, template: say, depends: "(b.Omitted || b.Succeeded) && c"}
"""
        + SAY
    )
    assert phases(made) == {
        "wf": "Succeeded",
        "wf.a": "Failed",
        "wf.b": "Omitted",
        "wf.c": "Succeeded",
        "wf.d": "Succeeded",
    }
    assert named(made, "wf.b")["message"] == "omitted: depends condition not met"


def test_a_dag_whose_target_is_omitted_after_a_failure_fails() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - {name: a, template: fail}
    - {name: b, template: say, dependencies: [a]}
"""
        + SAY
    )
    assert made.phase == "Failed"
    assert "message" not in named(made, "wf")


def test_depends_waits_for_every_task_it_names() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - {name: quick, template: say}
    - {name: slow, template: say, depends: quick}
    - {name: last, template: say, depends: quick || slow}
"""
        + SAY
    )
    assert named(made, "wf.last")["startedAt"] >= named(made, "wf.slow")["finishedAt"]


def test_only_what_the_target_needs_gets_a_node() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    target: b
    tasks:
    - {name: a, template: say}
    - {name: b, template: say, dependencies: [a]}
    - {name: c, template: say, dependencies: [b]}
"""
        + SAY
    )
    assert set(phases(made)) == {"wf", "wf.a", "wf.b"}


def test_loops_name_their_items_and_collect_outputs() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - name: a
      template: say
      arguments: {parameters: [{name: x, value: "{{item.name}}"}]}
      withItems: [{name: n, size: 1}, {name: m, size: 2}]
    - name: b
      depends: a
      template: say
      arguments: {parameters: [{name: x, value: "{{tasks.a.outputs.parameters.r}}"}]}
    - name: c
      depends: b
      template: say
      withParam: "[]"
    - name: d
      template: say
      withSequence: {start: 1, end: 2, format: n%02X}
"""
        + SAY
    )
    assert {"wf.a", "wf.a(0:name:n,size:1)", "wf.a(1:name:m,size:2)", "wf.d(1:n02)"} <= set(phases(made))
    assert named(made, "wf.a")["type"] == "TaskGroup"
    assert parameter(named(made, "wf.b"), "inputs", "x") == '["n","m"]'
    assert named(made, "wf.c")["message"] == "Skipped, empty params"


def test_a_looped_result_that_is_not_json_is_an_error() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: say, withItems: [1, two], arguments: {parameters: [{name: x, value: "{{item}}"}]}}
  - - {name: b, template: say, arguments: {parameters: [{name: x, value: "{{steps.a.outputs.result}}"}]}}
"""
        + SAY
    )
    assert made.phase in ("Failed", "Error")
    assert "wf[1].b" not in phases(made)


def test_skipped_outputs_take_defaults_and_are_nil_in_expressions() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: gives, when: "1 == 2"}
  - - {name: b, template: say, arguments: {parameters: [{name: x, value: "{{steps.a.outputs.parameters.with}}"}]}}
    - {name: c, template: say, arguments: {parameters: [{name: x, value: "{{steps.a.outputs.parameters.without}}"}]}}
    - name: d
      template: say
      arguments: {parameters: [{name: x, value: "{{=steps.a.outputs.parameters.without ?? 'nothing'}}"}]}
- name: gives
  container: {image: i}
  outputs:
    parameters:
    - {name: with, valueFrom: {path: /x, default: fallback}}
    - {name: without, valueFrom: {path: /y}}
"""
        + SAY
    )
    assert made.phase == "Succeeded"
    assert parameter(named(made, "wf[1].b"), "inputs", "x") == "fallback"
    assert parameter(named(made, "wf[1].c"), "inputs", "x") == "hello"  # the input's own default
    assert parameter(named(made, "wf[1].d"), "inputs", "x") == "nothing"


def test_nested_templates_and_global_outputs() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  dag:
    tasks:
    - {name: inside, template: inner, arguments: {parameters: [{name: x, value: v}]}}
    - name: after
      depends: inside
      template: say
      arguments: {parameters: [{name: x, value: "{{workflow.outputs.parameters.g}}"}]}
- name: inner
  inputs: {parameters: [{name: x}]}
  steps:
  - - {name: s, template: say, arguments: {parameters: [{name: x, value: "{{inputs.parameters.x}}!"}]}}
  outputs: {parameters: [{name: o, globalName: g, valueFrom: {parameter: "{{steps.s.outputs.parameters.r}}"}}]}
"""
        + SAY
    )
    assert parameter(named(made, "wf.after"), "inputs", "x") == "v!"
    assert made.workflow()["status"]["outputs"]["parameters"] == [{"name": "g", "value": "v!"}]


def test_result_is_captured_only_where_the_parent_mentions_it() -> None:
    captured = {}

    def pod(command):  # type: ignore[no-untyped-def]
        from tests.engine.machine.driving import echo

        captured[command.node_name] = command.capture_result
        return echo(command)

    drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: say}
    - {name: b, template: say}
  - - {name: c, template: say, arguments: {parameters: [{name: x, value: "{{steps.a.outputs.result}}"}]}}
"""
        + SAY,
        pod,
    )
    assert captured == {"wf[0].a": True, "wf[0].b": False, "wf[1].c": False}


def test_parallelism_of_a_template_holds_items_back() -> None:
    running: set[str] = set()
    most = 0

    def pod(command):  # type: ignore[no-untyped-def]
        from tests.engine.machine.driving import echo

        nonlocal most
        running.add(command.node_name)
        most = max(
            most,
            sum(
                1
                for node in made_nodes()
                if node["type"] == "Pod" and node["phase"] in ("Pending", "Running")
            ),
        )
        return echo(command)

    from tests.conformance.replay import Replay
    from tests.engine.machine.driving import machine

    made = machine(
        """
entrypoint: main
templates:
- name: main
  parallelism: 2
  steps:
  - - {name: a, template: say, withSequence: {count: 7}}
"""
        + SAY
    )

    def made_nodes():  # type: ignore[no-untyped-def]
        return list(made.nodes.values())

    Replay(made, pod).run()
    assert made.phase == "Succeeded"
    assert len(running) == 7
    assert most == 2
