"""The Kubernetes API, judged by the official client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest

from tests.server.running import FAILS, GATE, GROUP, HELLO, Running, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("server") / "store") as found:
        yield found


@pytest.fixture
def api(running: Running) -> Iterator[kubernetes.client.CustomObjectsApi]:
    with running.client() as client:
        yield kubernetes.client.CustomObjectsApi(client)


def test_a_workflow_is_created_runs_and_is_watched_to_its_end(
    running: Running, api: kubernetes.client.CustomObjectsApi
) -> None:
    made = api.create_namespaced_custom_object(*GROUP, "workflows", HELLO)
    name, version = made["metadata"]["name"], made["metadata"]["resourceVersion"]
    watch, phases = kubernetes.watch.Watch(), []
    for event in watch.stream(
        api.list_namespaced_custom_object,
        *GROUP,
        "workflows",
        field_selector=f"metadata.name={name}",
        resource_version=version,
        timeout_seconds=60,
    ):
        assert event["type"] == "MODIFIED"
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)
        phases.append((event["object"].get("status") or {}).get("phase"))
        if phases[-1] == "Succeeded":
            watch.stop()
    assert phases[-1] == "Succeeded"

    core = kubernetes.client.CoreV1Api(api.api_client)
    (pod,) = core.list_namespaced_pod("argo", label_selector=f"workflows.argoproj.io/workflow={name}").items
    assert pod.status.phase == "Succeeded"
    assert pod.metadata.name.startswith(f"{name}-say-")
    assert core.read_namespaced_pod_log(pod.metadata.name, "argo") == "hello\n"
    time, _, text = core.read_namespaced_pod_log(pod.metadata.name, "argo", timestamps=True).partition(" ")
    assert (text, time[:2]) == ("hello\n", "20")


def test_selectors_and_pages(running: Running, api: kubernetes.client.CustomObjectsApi) -> None:
    names = sorted(running.submit(GATE) for _ in range(3))
    listed = api.list_namespaced_custom_object(*GROUP, "workflows", label_selector="team=blue,!x", limit=2)
    assert [each["metadata"]["name"] for each in listed["items"]] == names[:2]
    assert "remainingItemCount" not in listed["metadata"]  # with a selector nobody counts, as on a cluster
    first = api.list_namespaced_custom_object(*GROUP, "workflows", limit=2)
    every = api.list_namespaced_custom_object(*GROUP, "workflows")
    assert first["metadata"]["remainingItemCount"] == len(every["items"]) - 2
    rest = api.list_namespaced_custom_object(
        *GROUP, "workflows", label_selector="team=blue", limit=2, _continue=listed["metadata"]["continue"]
    )
    assert [each["metadata"]["name"] for each in rest["items"]] == names[2:]
    none = api.list_namespaced_custom_object(*GROUP, "workflows", label_selector="team notin (blue),team")
    assert none["items"] == []
    everywhere = api.list_cluster_custom_object(*GROUP[:2], "workflows", label_selector="team in (blue, red)")
    assert len(everywhere["items"]) == 3
    assert api.list_namespaced_custom_object(*GROUP[:2], "other", "workflows")["items"] == []
    for selector in ("a in", "=b", "a=b=c"):
        with pytest.raises(kubernetes.client.ApiException) as told:
            api.list_namespaced_custom_object(*GROUP, "workflows", label_selector=selector)
        assert told.value.status == 422
    for name in names:
        api.delete_namespaced_custom_object(*GROUP, "workflows", name)
    assert api.list_namespaced_custom_object(*GROUP, "workflows", label_selector="team=blue")["items"] == []


def test_a_patch_stops_and_a_put_resumes(running: Running, api: kubernetes.client.CustomObjectsApi) -> None:
    name = running.submit(GATE)
    running.until(name, "Suspended")
    api.patch_namespaced_custom_object(*GROUP, "workflows", name, {"spec": {"shutdown": "Stop"}})
    assert running.until(name, "Failed", "Succeeded")["status"]["phase"] == "Failed"  # type: ignore[index]

    other = running.submit(GATE)
    seen = running.until(other, "Suspended")
    for node in seen["status"]["nodes"].values():  # type: ignore[index]
        if node["type"] == "Suspend":
            node["phase"] = "Succeeded"
    api.replace_namespaced_custom_object(*GROUP, "workflows", other, seen)
    running.until(other, "Succeeded")
    seen["spec"]["suspend"] = True  # type: ignore[index]
    with pytest.raises(kubernetes.client.ApiException) as told:  # what was read is of before
        api.replace_namespaced_custom_object(*GROUP, "workflows", other, seen)
    assert (told.value.status, json.loads(told.value.body)["reason"]) == (409, "Conflict")


def test_a_retry_goes_on_and_keeps_what_succeeded(
    running: Running, api: kubernetes.client.CustomObjectsApi
) -> None:
    name = running.submit(FAILS)
    before = running.until(name, "Failed")
    nodes = before["status"]["nodes"]  # type: ignore[index]
    (kept,) = [node for node in nodes.values() if node["displayName"] == "a"]
    (again,) = [node for node in nodes.values() if node["displayName"] == "b"]
    # as `argo retry` writes it
    before["status"].pop("finishedAt")  # type: ignore[attr-defined]
    before["status"]["phase"] = "Running"  # type: ignore[index]
    nodes.pop(again["id"])
    api.replace_namespaced_custom_object(*GROUP, "workflows", name, before)
    after = running.until(name, "Failed")
    while after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:  # type: ignore[index]
        after = running.until(name, "Failed")
    ended = {node["displayName"]: node for node in after["status"]["nodes"].values()}  # type: ignore[index]
    assert ended["a"]["finishedAt"] == kept["finishedAt"]
    assert ended["b"]["phase"] == "Failed"


def test_what_is_refused(running: Running, api: kubernetes.client.CustomObjectsApi) -> None:
    count = len(api.list_namespaced_custom_object(*GROUP, "workflows")["items"])
    dry = api.create_namespaced_custom_object(*GROUP, "workflows", HELLO, dry_run="All")
    assert dry["metadata"]["name"].startswith("hello-")
    for given, status in (
        ({**HELLO, "kind": "WorkflowTemplate"}, 400),
        ({**HELLO, "spec": {**HELLO["spec"], "templates": "none"}}, 422),  # type: ignore[dict-item]
        ({**HELLO, "spec": {"entrypoint": "m", "volumes": [{"name": "v", "nfs": {}}], "templates": []}}, 422),
    ):
        with pytest.raises(kubernetes.client.ApiException) as told:
            api.create_namespaced_custom_object(*GROUP, "workflows", given)
        assert told.value.status == status, told.value.body
        assert json.loads(told.value.body)["kind"] == "Status"
    for call in (
        lambda: api.get_namespaced_custom_object(*GROUP, "workflows", "none"),
        lambda: api.delete_namespaced_custom_object(*GROUP, "workflows", "none"),
        lambda: api.get_namespaced_custom_object("none.io", "v1", "argo", "things", "x"),
    ):
        with pytest.raises(kubernetes.client.ApiException) as told:
            call()
        assert told.value.status == 404
    assert len(api.list_namespaced_custom_object(*GROUP, "workflows")["items"]) == count


def test_labels_and_annotations_change_while_a_run_goes_on_and_after(
    running: Running, api: kubernetes.client.CustomObjectsApi
) -> None:
    name = running.submit(GATE)
    running.until(name, "Suspended")

    def change(**metadata: object) -> None:
        api.patch_namespaced_custom_object(*GROUP, "workflows", name, {"metadata": metadata})

    def listed(selector: str) -> list[str]:
        found = api.list_namespaced_custom_object(*GROUP, "workflows", label_selector=selector)["items"]
        return [each["metadata"]["name"] for each in found]

    change(labels={"keep": "yes", "team": None}, annotations={"why": "a good one, says Ada"})
    assert listed("keep=yes,!team") == [name]
    with pytest.raises(kubernetes.client.ApiException) as told:
        change(labels={"keep": "not a label"})
    assert (told.value.status, "not a label" in told.value.body) == (422, True)
    api.patch_namespaced_custom_object(*GROUP, "workflows", name, {"spec": {"shutdown": "Stop"}})
    running.until(name, "Failed")
    change(labels={"keep": "no", "seen": "yes"})
    found = running.get(name)["metadata"]
    assert found["annotations"]["why"] == "a good one, says Ada"  # type: ignore[index]
    assert listed("keep=no,seen,!team") == [name]
    api.delete_namespaced_custom_object(*GROUP, "workflows", name)


def test_templates_are_kept_and_run(running: Running, api: kubernetes.client.CustomObjectsApi) -> None:
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "greet"},
        "spec": HELLO["spec"],
    }
    made = api.create_namespaced_custom_object(*GROUP, "workflowtemplates", template)
    with pytest.raises(kubernetes.client.ApiException) as told:
        api.create_namespaced_custom_object(*GROUP, "workflowtemplates", template)
    assert (told.value.status, json.loads(told.value.body)["reason"]) == (409, "AlreadyExists")
    for bad in ("", "../x", "A_b"):
        with pytest.raises(kubernetes.client.ApiException) as told:
            api.create_namespaced_custom_object(
                *GROUP, "workflowtemplates", {**template, "metadata": {"name": bad}}
            )
        assert told.value.status == 422
    name = running.submit(
        {
            "metadata": {"generateName": "greet-"},
            "spec": {"workflowTemplateRef": {"name": "greet"}},
        }
    )
    running.until(name, "Succeeded")
    changed = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
    api.replace_namespaced_custom_object(*GROUP, "workflowtemplates", "greet", changed)
    with pytest.raises(kubernetes.client.ApiException) as told:
        api.replace_namespaced_custom_object(*GROUP, "workflowtemplates", "greet", changed)
    assert told.value.status == 409
    (kept,) = api.list_namespaced_custom_object(*GROUP, "workflowtemplates", label_selector="a=b")["items"]
    assert kept["metadata"]["uid"] == made["metadata"]["uid"]
    api.delete_namespaced_custom_object(*GROUP, "workflowtemplates", "greet")
    assert api.list_namespaced_custom_object(*GROUP, "workflowtemplates")["items"] == []


def test_a_collection_is_deleted_by_its_labels(
    running: Running, api: kubernetes.client.CustomObjectsApi
) -> None:
    """As programs that are written for a cluster clear up, Argo's own tests first."""
    waiting = {running.submit(GATE) for _ in range(2)}
    stays = running.submit({**HELLO, "metadata": {"generateName": "stays-"}})
    api.delete_collection_namespaced_custom_object(*GROUP, "workflows", label_selector="team", dry_run="All")
    core = kubernetes.client.CoreV1Api(api.api_client)
    patched = {"metadata": {"finalizers": []}}
    running.until(stays, "Succeeded")
    (pod,) = core.list_namespaced_pod("argo", label_selector=f"workflows.argoproj.io/workflow={stays}").items
    assert core.patch_namespaced_pod(pod.metadata.name, "argo", patched).metadata.name == pod.metadata.name
    assert core.patch_namespaced_pod(pod.metadata.name, "argo", {}).metadata.name == pod.metadata.name
    with pytest.raises(kubernetes.client.ApiException) as told:
        core.patch_namespaced_pod(pod.metadata.name, "argo", {"metadata": {"labels": {"a": "b"}}})
    assert told.value.status == 422

    names = {
        each["metadata"]["name"] for each in api.list_namespaced_custom_object(*GROUP, "workflows")["items"]
    }
    assert waiting | {stays} <= names
    api.delete_collection_namespaced_custom_object(*GROUP, "workflows", label_selector="team in (blue)")
    left = {
        each["metadata"]["name"] for each in api.list_namespaced_custom_object(*GROUP, "workflows")["items"]
    }
    assert left == {each for each in names if not each.startswith("gate-")}
    for kind in (
        "sensors",
        "eventsources",
        "workfloweventbindings",
        "cronworkflows",
        "clusterworkflowtemplates",
    ):
        at = GROUP[:2] if kind.startswith("cluster") else GROUP
        scope = "cluster" if kind.startswith("cluster") else "namespaced"
        getattr(api, f"delete_collection_{scope}_custom_object")(*at, kind, label_selector="a")
        assert getattr(api, f"list_{scope}_custom_object")(*at, kind)["items"] == []
    core.delete_collection_namespaced_config_map("argo", label_selector="a")
    assert core.list_namespaced_resource_quota("argo").items == []


def test_a_deletion_may_leave_what_belongs_to_it(api: kubernetes.client.CustomObjectsApi) -> None:
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "yearly"},
        "spec": {"schedules": ["0 0 1 1 *"], "workflowSpec": HELLO["spec"]},
    }
    for policy in ("Orphan", "Background"):
        uid = api.create_namespaced_custom_object(*GROUP, "cronworkflows", cron)["metadata"]["uid"]
        owner = {"apiVersion": cron["apiVersion"], "kind": "CronWorkflow", "name": "yearly", "uid": uid}
        metadata = {"name": f"of-{policy.lower()}", "ownerReferences": [owner]}
        api.create_namespaced_custom_object(*GROUP, "workflows", {**HELLO, "metadata": metadata})
        options = kubernetes.client.V1DeleteOptions(propagation_policy=policy)
        api.delete_namespaced_custom_object(*GROUP, "cronworkflows", "yearly", body=options)
    left = api.list_namespaced_custom_object(*GROUP, "workflows")["items"]
    assert [each["metadata"]["name"] for each in left if each["metadata"]["name"].startswith("of-")] == [
        "of-orphan"
    ]


def test_many_watch_and_miss_nothing(running: Running) -> None:
    """Each of ten followers sees each of five runs appear and end."""
    with running.client() as client:
        version = kubernetes.client.CustomObjectsApi(client).list_namespaced_custom_object(
            *GROUP, "workflows"
        )["metadata"]["resourceVersion"]
    seen: list[dict[str, str]] = [{} for _ in range(10)]
    labelled = {**HELLO, "metadata": {"generateName": "many-", "labels": {"many": "yes"}}}

    def follow(mine: dict[str, str]) -> None:
        with running.client() as client:
            watch = kubernetes.watch.Watch()
            for event in watch.stream(
                kubernetes.client.CustomObjectsApi(client).list_namespaced_custom_object,
                *GROUP,
                "workflows",
                label_selector="many=yes",
                resource_version=version,
                timeout_seconds=60,
            ):
                if event["type"] == "DELETED":  # of one that was never selected, as far as the server knows
                    continue
                item = event["object"]
                mine[item["metadata"]["name"]] = (item.get("status") or {}).get("phase", "")
                if len(mine) == 5 and set(mine.values()) == {"Succeeded"}:
                    watch.stop()

    followers = [threading.Thread(target=follow, args=(mine,)) for mine in seen]
    for each in followers:
        each.start()
    names = {running.submit(labelled) for _ in range(5)}
    for each in followers:
        each.join()
    assert [set(mine) for mine in seen] == [names] * 10
    assert all(set(mine.values()) == {"Succeeded"} for mine in seen)


def test_a_number_of_an_earlier_server_is_too_old(tmp_path: Path) -> None:
    with server(tmp_path / "store") as first:
        first.until(first.submit(HELLO), "Succeeded")
        old = first.ask("GET", "/apis/argoproj.io/v1alpha1/workflows").json()["metadata"]["resourceVersion"]
    with server(tmp_path / "store") as second:
        listed = second.ask("GET", "/apis/argoproj.io/v1alpha1/workflows").json()
        assert len(listed["items"]) == 1
        told = second.ask(
            "GET", f"/apis/argoproj.io/v1alpha1/workflows?watch=true&resourceVersion={old}&timeoutSeconds=1"
        )
        assert json.loads(told.text)["object"]["code"] == 410
