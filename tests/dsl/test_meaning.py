"""What a pipeline means in Argo's terms: order, conditions, loops, nesting, exit handlers, retries, names."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tiphys
from tests.tools import argo_lint
from tiphys import (
    Cache,
    Mutex,
    Pipeline,
    Reference,
    Resource,
    Resources,
    Retry,
    Scheduling,
    Semaphore,
    Volume,
    collect,
    component,
    compose,
    dag,
    for_each,
    raw,
    workflow_name,
    workflow_status,
)
from tiphys.errors import DefinitionError


class Made(NamedTuple):
    text: str
    size: int
    good: bool


@component
def make(text: str = "x") -> Made:
    return Made(text, len(text), True)


@component
def use(text: str, size: int = 0) -> str:
    return text * size


@component
def gather(texts: list[str]) -> list[str]:
    return texts


def workflow(pipeline: Pipeline) -> dict[str, Any]:
    """The workflow as Argo would read it."""
    documents = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))
    found: dict[str, Any] = documents[-1]
    return found


def template(pipeline: Pipeline, name: str) -> dict[str, Any]:
    return next(t for t in workflow(pipeline)["spec"]["templates"] if t["name"] == name)


def tasks(pipeline: Pipeline, name: str = "main") -> dict[str, dict[str, Any]]:
    return {t["name"]: t for t in template(pipeline, name)["dag"]["tasks"]}


def arguments(task: dict[str, Any]) -> dict[str, str]:
    return {p["name"]: p["value"] for p in task.get("arguments", {}).get("parameters", [])}


def test_data_flow_makes_order() -> None:
    with Pipeline("p") as p:
        made = make(text="a")
        use(text=made.text, size=made.size)
    found = tasks(p)
    assert "depends" not in found["make"]
    assert found["use"]["depends"] == "make"
    assert arguments(found["use"]) == {
        "text": "{{tasks.make.outputs.parameters.text}}",
        "size": "{{tasks.make.outputs.parameters.size}}",
    }


def test_names_are_made_unique_and_follow_a_rename() -> None:
    with Pipeline("p") as p:
        first, second, third = make(), make(), make()
        use(text=second.text)
        second.named("chosen")
        use(text=third.text).after(first)
    found = tasks(p)
    assert list(found) == ["make", "chosen", "make-2", "use", "use-2"]
    assert arguments(found["use"])["text"] == "{{tasks.chosen.outputs.parameters.text}}"
    assert found["use-2"]["depends"] == "make-2 && make"


def test_a_given_name_wins_over_a_made_one() -> None:
    with Pipeline("p") as p:
        make()
        make()
        use(text="x").named("make-2")
    assert list(tasks(p)) == ["make", "make-3", "make-2"]


def test_what_is_implied_is_not_said_twice() -> None:
    with Pipeline("p") as p:
        a = make().named("a")
        b = use(text=a.text).named("b")
        use(text=b.result, size=a.size).named("c")
        use(text="x").named("d").after(a, b)
    found = tasks(p)
    assert found["c"]["depends"] == "b"
    assert found["d"]["depends"] == "b"


def test_the_consumer_of_a_conditional_task_needs_its_success() -> None:
    with Pipeline("p") as p:
        a = make().when(p.param("go", True))
        use(text=a.text)
    found = tasks(p)
    assert found["make"]["when"] == "{{=workflow.parameters.go == 'true'}}"
    assert found["use"]["depends"] == "make.Succeeded"


def test_order_after_a_conditional_task_accepts_that_it_was_skipped() -> None:
    with Pipeline("p") as p:
        a = make().when(p.param("go", True))
        use(text="x").after(a)
    assert tasks(p)["use"]["depends"] == "make"


def test_an_optional_output_has_a_default() -> None:
    with Pipeline("p") as p:
        a = make().when(p.param("go", True))
        use(text=a.text.optional("none"))
    task = tasks(p)["use"]
    assert task["depends"] == "(make.Succeeded || make.Skipped || make.Omitted)"
    assert arguments(task)["text"] == "{{=(tasks.make.outputs.parameters.text ?? 'none')}}"


def test_the_success_of_a_conditional_task_is_not_implied_by_order() -> None:
    with Pipeline("p") as p:
        a = make().named("a").when(p.param("go", True))
        b = use(text="x").named("b").after(a)
        use(text=a.text).named("c").after(b)
    assert tasks(p)["c"]["depends"] == "a.Succeeded && b"


def test_order_by_results() -> None:
    with Pipeline("p") as p:
        a = make()
        use(text="x").after(a, on=("failed", "errored"))
        use(text="y").after(a, on="succeeded")
    found = tasks(p)
    assert found["use"]["depends"] == "(make.Failed || make.Errored)"
    assert found["use-2"]["depends"] == "make.Succeeded"


def test_conditions_compare_by_type() -> None:
    with Pipeline("p") as p:
        made = make()
        mode, bound = p.param("mode", "a"), p.param("bound", 0.5)
        use(text="1").when((made.size >= 3) & (mode == "a") | ~(made.good & (mode != "b")))
        use(text="2").when(made.size > bound)
        use(text="3").when(mode.is_in("a", "it's"))
    found = tasks(p)
    size = "asFloat(tasks.make.outputs.parameters.size)"
    assert found["use"]["when"] == (
        "{{=(" + size + " >= 3 && workflow.parameters.mode == 'a') || "
        "!(tasks.make.outputs.parameters.good == 'true' && workflow.parameters.mode != 'b')}}"
    )
    assert found["use-2"]["when"] == "{{=" + size + " > asFloat(workflow.parameters.bound)}}"
    assert found["use-3"]["when"] == r"{{=workflow.parameters.mode in ['a', 'it\'s']}}"
    assert found["use-3"].get("depends") is None
    assert found["use-2"]["depends"] == "make"


def test_several_conditions_must_all_hold() -> None:
    with Pipeline("p") as p:
        go = p.param("go", True)
        make().when(go).when(p.param("n", 1) == 1)
    assert (
        tasks(p)["make"]["when"]
        == "{{=workflow.parameters.go == 'true' && asFloat(workflow.parameters.n) == 1}}"
    )


def test_a_literal_in_a_condition_cannot_end_its_tag() -> None:
    with Pipeline("p") as p:
        make().when(p.param("mode", "a") == "}} || true {{")
    when = tasks(p)["make"]["when"]
    assert when.count("}}") == 1 and when.endswith("}}")
    assert r"\u007d\u007d || true \u007b\u007b" in when


def test_a_fixed_list_is_looped_over() -> None:
    with Pipeline("p") as p:
        used = use(text=for_each(["a", "b"]), size=2)
        gather(texts=used.result)
    found = tasks(p)
    assert found["use"]["withItems"] == ["a", "b"]
    assert arguments(found["use"]) == {"text": "{{item}}", "size": "2"}
    assert arguments(found["gather"]) == {"texts": "{{tasks.use.outputs.parameters.result}}"}


def test_items_may_be_objects() -> None:
    with Pipeline("p") as p:
        each = for_each([{"t": "a", "n": 1}, {"t": "b", "n": 2}])
        use(text=each["t"], size=each["n"])
    task = tasks(p)["use"]
    assert arguments(task) == {"text": "{{item.t}}", "size": "{{item.n}}"}
    assert task["withItems"] == [{"t": "a", "n": 1}, {"t": "b", "n": 2}]


def test_an_output_is_looped_over_and_an_empty_one_gives_an_empty_list() -> None:
    with Pipeline("p") as p:
        listed = gather(texts=["a"])
        used = use(text=for_each(listed)).named("each")
        gather(texts=used.result)
    found = tasks(p)
    assert found["each"]["withParam"] == "{{tasks.gather.outputs.parameters.result}}"
    assert found["each"]["depends"] == "gather"
    assert arguments(found["gather-2"]) == {"texts": "{{=tasks.each.outputs.parameters.result ?? '[]'}}"}
    assert found["gather-2"]["depends"] == "each"  # which a skipped loop satisfies too


def test_lists_of_outputs_are_collected() -> None:
    with Pipeline("p") as p:
        a, b = make(), make().named("b-2")
        gather(texts=[a.text, "it's", b.text])
        gather(texts=collect(a.text, b.text))
    found = tasks(p)
    assert arguments(found["gather"])["texts"] == (
        r"{{=toJson([tasks.make.outputs.parameters.text, 'it\'s', tasks['b-2'].outputs.parameters.text])}}"
    )
    assert found["gather-2"]["depends"] == "make && b-2"


def test_text_is_composed_of_values() -> None:
    with Pipeline("p") as p:
        use(text=compose("runs/{run}/{x}!", run=workflow_name, x=make().text))
    task = tasks(p)["use"]
    assert arguments(task)["text"] == (
        "{{='runs/' + workflow.name + '/' + tasks.make.outputs.parameters.text + '!'}}"
    )
    assert task["depends"] == "make"


def test_raw_text_is_left_to_argo() -> None:
    with Pipeline("p") as p:
        use(text=raw("{{workflow.creationTimestamp.s}}"))
    assert arguments(tasks(p)["use"])["text"] == "{{workflow.creationTimestamp.s}}"


class Both(NamedTuple):
    text: str
    joined: str


def test_a_nested_graph() -> None:
    with Pipeline("p") as p:
        prefix = p.param("prefix", "x")

        @dag
        def inner(word: str, size: int = 2) -> Both:
            made = make(text=word)
            used = use(text=made.text, size=size)
            joined: Any = compose("{a}{b}", a=prefix, b=used.result)
            return Both(text=made.text, joined=joined)

        one = inner(word="a").named("one")
        inner(word=one.joined).named("two")
    found = tasks(p)
    assert (found["one"]["template"], found["two"]["template"]) == ("inner", "inner")
    assert found["two"]["depends"] == "one"
    nested = template(p, "inner")
    assert nested["inputs"]["parameters"] == [{"name": "word"}, {"name": "size", "default": "2"}]
    assert [t["name"] for t in nested["dag"]["tasks"]] == ["make", "use"]
    assert arguments(nested["dag"]["tasks"][0]) == {"text": "{{inputs.parameters.word}}"}
    assert nested["outputs"]["parameters"] == [
        {"name": "text", "valueFrom": {"parameter": "{{tasks.make.outputs.parameters.text}}"}},
        {
            "name": "joined",
            # in such an expression Argo 4.1.2 knows tasks only ("unknown name workflow")
            "valueFrom": {
                "expression": "{{=toJson(workflow.parameters.prefix)}} + tasks.use.outputs.parameters.result"
            },
        },
    ]


def test_an_exit_handler_and_an_exit_hook() -> None:
    with Pipeline("p") as p:
        make().on_exit(use, text="over")
    with p.exit_handler("goodbye"):
        use(text=workflow_status).when(workflow_status != "Succeeded")
    spec = workflow(p)["spec"]
    assert spec["onExit"] == "goodbye"
    task = tasks(p, "goodbye")["use"]
    assert arguments(task) == {"text": "{{workflow.status}}"}
    assert task["when"] == "{{=workflow.status != 'Succeeded'}}"
    assert tasks(p)["make"]["hooks"] == {
        "exit": {"template": "use", "arguments": {"parameters": [{"name": "text", "value": "over"}]}}
    }


def test_options_of_a_component() -> None:
    step = component(
        make.function,
        name="heavy",
        image="registry/x:1",
        retry=Retry(limit=3, on="always", backoff="10s", max_backoff="5m"),
        timeout="1h30m",
        locks=[Semaphore("gpu", 2), Mutex("disk")],
        resources=Resources(cpu="1", memory="2Gi", cpu_limit="4", memory_limit="8Gi", gpu=1),
        env={"N": "1"},
        title="A-heavy-step",
        exports={"size": "final-size"},
    )
    with Pipeline("p") as p:
        step()
    body = template(p, "heavy")
    assert body["retryStrategy"] == {
        "limit": "3",
        "retryPolicy": "Always",
        "backoff": {"duration": "10s", "factor": "2", "cap": "5m"},
    }
    assert body["timeout"] == "1h30m"
    assert body["synchronization"] == {
        "semaphores": [{"configMapKeyRef": {"name": "tiphys-locks", "key": "gpu"}}],
        "mutexes": [{"name": "disk"}],
    }
    assert body["script"]["image"] == "registry/x:1"
    assert body["script"]["resources"]["limits"] == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}
    assert {"name": "N", "value": "1"} in body["script"]["env"]
    assert body["annotations"] == {"workflows.argoproj.io/display-name": "A-heavy-step"}
    assert [o.get("globalName") for o in body["outputs"]["parameters"]] == [None, "final-size", None]
    first = next(iter(yaml.safe_load_all(tiphys.to_yaml(p))))
    assert (first["kind"], first["metadata"], first["data"]) == (
        "ConfigMap",
        {"name": "tiphys-locks"},
        {"gpu": "2"},
    )


def test_every_container_is_fit_for_the_restricted_standard() -> None:
    with Pipeline("p", volumes=[Volume("data", "/mnt/d")]) as p:
        make()
    spec = workflow(p)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    container = template(p, "make")["script"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert set(container["resources"]) == {"requests", "limits"}
    data, scratch = container["volumeMounts"]
    assert data == {"name": "data", "mountPath": "/mnt/d"}
    assert scratch["mountPath"] == "/tmp"
    assert template(p, "make")["volumes"] == [{"name": scratch["name"], "emptyDir": {}}]
    assert {"name": "TIPHYS_VOLUMES", "value": '{"data":"/mnt/d"}'} in container["env"]


def test_the_volume_is_mounted_where_references_travel() -> None:
    @component
    def read(data: Reference) -> None: ...

    with Pipeline("p") as without:
        make()
    with Pipeline("p") as with_volume:
        read(data="pvc://tiphys/x")
    assert "volumes" not in workflow(without)["spec"]
    assert workflow(with_volume)["spec"]["volumes"][0]["name"] == "tiphys"


def test_parameters_carry_their_types() -> None:
    with Pipeline("p") as p:
        p.param("n", 3, minimum=1, description="how many")
        p.param("mode", "a", choices=("a", "b"))
        p.param("fast", False)
        p.param("needed", type=float)
        make()
    found = workflow(p)
    assert found["spec"]["arguments"]["parameters"] == [
        {"name": "n", "value": "3", "description": "how many"},
        {"name": "mode", "value": "a", "enum": ["a", "b"]},
        {"name": "fast", "value": "false", "enum": ["false", "true"]},
        {"name": "needed"},
    ]
    from tiphys.argo.parameters import check

    check(found, {"needed": "0.5"})
    for name, text in (("n", "0"), ("n", "x"), ("mode", "c"), ("fast", "yes"), ("needed", "much")):
        with pytest.raises(tiphys.RefusedError):
            check(found, {"needed": "1", name: text})
    with pytest.raises(tiphys.RefusedError):
        check(found, {})


def test_what_the_user_interface_shows() -> None:
    with Pipeline(
        "p",
        title="A-title",
        description="What\nfor",
        links={"docs": "https://example.org"},
        labels={"team": "ml"},
    ) as p:
        make()
    metadata = workflow(p)["metadata"]
    assert metadata["generateName"] == "p-"
    assert metadata["labels"] == {"team": "ml"}
    assert metadata["annotations"]["workflows.argoproj.io/title"] == "A-title"
    # the Argo UI renders Markdown in the description
    assert metadata["annotations"]["workflows.argoproj.io/description"] == (
        "What\nfor\n\n[docs](https://example.org)"
    )


def test_scheduling_and_workflow_locks() -> None:
    scheduling = Scheduling(priority=5, priority_class="high", node_selector=(("pool", "cpu"),))
    with Pipeline("p", scheduling=scheduling, locks=[Mutex("one")], service_account="runner") as p:
        make()
    spec = workflow(p)["spec"]
    assert (spec["priority"], spec["podPriorityClassName"]) == (5, "high")
    assert spec["nodeSelector"] == {"pool": "cpu"}
    assert spec["synchronization"] == {"mutexes": [{"name": "one"}]}
    assert spec["serviceAccountName"] == "runner"


def test_only_a_pipeline_that_creates_objects_names_an_account_by_itself() -> None:
    with Pipeline("p") as plain:
        make()
    with Pipeline("p") as creating:
        Resource("clean", action="delete", flags=["tfjobs.kubeflow.org", "--selector", "a=b"])()
    with Pipeline("p", service_account="") as bare:
        Resource("clean", action="delete", flags=["tfjobs.kubeflow.org", "--selector", "a=b"])()
    with Pipeline("p", service_account="mine") as own:
        make()
        Resource("clean", action="delete", flags=["tfjobs.kubeflow.org", "--selector", "a=b"])()

    def accounts(p: Pipeline) -> list[str | None]:
        spec = workflow(p)["spec"]
        return [each.get("serviceAccountName") for each in (spec, *spec["templates"][1:])]

    assert accounts(plain) == [None, None]
    assert accounts(creating) == [None, "tiphys"]
    assert accounts(bare) == [None, None]
    assert accounts(own) == ["mine", None, None]


def test_only_argo_s_own_containers_have_a_token() -> None:
    """Once patched as the controller does it, the author's container has none, and resource templates keep theirs."""
    with Pipeline("p") as p:
        make()
        Resource("clean", action="delete", flags=["tfjobs.kubeflow.org", "--selector", "a=b"])()
    patch = json.loads(template(p, "make")["podSpecPatch"])
    assert patch["automountServiceAccountToken"] is False
    (volume,) = (v for v in patch["volumes"] if "serviceAccountToken" in v["projected"]["sources"][0])
    named = [c["name"] for c in (*patch["containers"], *patch["initContainers"])
             if any(m["name"] == volume["name"] for m in c["volumeMounts"])]  # fmt: skip
    assert named == ["wait", "init"]
    assert "automountServiceAccountToken" not in json.loads(template(p, "clean")["podSpecPatch"])


def test_egress_is_a_label_that_a_network_policy_selects() -> None:
    out = component(make.function, egress=["web"], read_only_root=False)
    with Pipeline("p") as p:
        out()
    assert template(p, "make")["metadata"]["labels"] == {"egress.tiphys.dev/web": "true"}
    security = template(p, "make")["script"]["securityContext"]
    assert "readOnlyRootFilesystem" not in security and "volumes" not in template(p, "make")
    policies = list(
        yaml.safe_load_all((Path(__file__).parents[2] / "manifests/base/network.yaml").read_text())
    )
    (web,) = (each for each in policies if each["metadata"]["name"] == "tiphys-egress-web")
    assert web["spec"]["podSelector"]["matchLabels"] == {"egress.tiphys.dev/web": "true"}
    with pytest.raises(DefinitionError, match="not a legal name for a network policy"):
        component(make.function, egress=["The Web"])


@dataclass(frozen=True)
class Told:
    a: str


def test_hera_fields_can_be_set_as_attributes() -> None:
    from hera.workflows.models import TTLStrategy

    with Pipeline("p") as p:
        make()
    p.ttl_strategy = TTLStrategy(seconds_after_completion=60)
    p.parallelism = 3
    spec = workflow(p)["spec"]
    assert spec["ttlStrategy"] == {"secondsAfterCompletion": 60}
    assert spec["parallelism"] == 3
    assert p.build().spec.parallelism == 3
    assert yaml.safe_load(p.to_yaml()) == workflow(p)


def test_argo_accepts_what_all_this_compiles_to(tmp_path: Path) -> None:
    cached = component(
        make.function, name="cached", cache=Cache.by_age("1h"), retry=Retry.on_infrastructure()
    )
    with Pipeline("p", title="All", locks=[Semaphore("all", 3)]) as p:
        go = p.param("go", True)
        made = cached(text="a").when(go)
        each = use(text=for_each(["a", "b"]), size=made.size.optional("1"))
        gather(texts=each.result).on_exit(use, text="x")

        @dag
        def inner(word: str) -> Both:
            return Both(text=make(text=word).text, joined=use(text=word).result)

        gather(texts=[inner(word="w").joined, "z"]).after(made, on=("failed", "skipped", "succeeded"))
    with p.exit_handler():
        use(text=workflow_status)
    assert argo_lint(tiphys.to_yaml(p), tmp_path) == ""


class Odd(NamedTuple):
    name: str
    template: str
    graph: str
    condition: str
    after: str


def test_every_part_knows_its_python_line() -> None:
    with Pipeline("p") as p:
        make()
        use(text="x").named("second")
    line = inspect.currentframe().f_lineno - 2  # type: ignore[union-attr]
    found = p.sites()
    assert found["main/make"].endswith(f"test_meaning.py:{line}")
    assert found["main/second"].endswith(f"test_meaning.py:{line + 1}")
    assert found["make"].endswith(f"test_meaning.py:{make.function.__code__.co_firstlineno}")
    assert found["main"].endswith(f"test_meaning.py:{line - 1}")


def test_outputs_may_have_any_name() -> None:
    """Also those of attributes a task could have had."""

    @component
    def odd() -> Odd:
        return Odd("", "", "", "", "")

    with Pipeline("p") as p:
        made = odd()
        for value in (made.name, made.template, made.graph, made.condition, made.outputs.after):
            use(text=value)
    values = [arguments(t)["text"] for t in tasks(p).values() if t["template"] == "use"]
    names = ("name", "template", "graph", "condition", "after")
    assert values == ["{{tasks.odd.outputs.parameters." + n + "}}" for n in names]


def test_a_template_and_a_schedule_of_a_pipeline(tmp_path: Path) -> None:
    with Pipeline("p", title="T") as p:
        make(text=p.param("text", "x"))
    template = p.as_template()
    assert (template["kind"], template["metadata"]["name"]) == ("WorkflowTemplate", "p")
    assert "generateName" not in template["metadata"]
    spec = p.to_dict()["spec"]
    assert {k: v for k, v in template["spec"].items() if k != "workflowMetadata"} == spec
    cron = p.as_cron("0 3 * * *", timezone="Europe/Athens", name="nightly")
    assert cron["metadata"]["name"] == "nightly"
    assert cron["spec"]["schedules"] == ["0 3 * * *"] and cron["spec"]["workflowSpec"] == spec
    for document in (template, cron):
        assert argo_lint(tiphys.to_yaml(document), tmp_path) == ""
    for wrong in ((), ("often",), ("0 3 * *",), ("61 3 * * *",)):
        with pytest.raises(tiphys.DefinitionError):
            p.as_cron(*wrong)
    with pytest.raises(tiphys.DefinitionError, match="Europe/Rome"):
        p.as_cron("0 3 * * *", timezone="Europe/Roma")
    with pytest.raises(tiphys.DefinitionError):
        p.as_cron("TZ=Asia/Tokyo 0 3 * * *", timezone="Europe/Rome")  # the controller could not read it
    assert p.as_cron("@every 1h", "0 9 * * mon-fri")["spec"]["schedules"] == ["@every 1h", "0 9 * * mon-fri"]
