"""One resource template at work: the action, the wait for its conditions, the outputs."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tiphys.argo.answers import ApiError
from tiphys.argo.any_string import any_string
from tiphys.argo.durations import pod_duration
from tiphys.argo.patch import LAST_APPLIED, PatchError, apply_patch, three_way, type_of
from tiphys.argo.selectors import Requirement, SelectorError, parse_labels
from tiphys.engine.machine.protocol import PodFinished, PodPhase, StartPod
from tiphys.engine.objects.controllers import Controllers
from tiphys.engine.objects.jq import JqError, jq
from tiphys.engine.objects.jsonpath import JsonPathError, jsonpath
from tiphys.engine.objects.kinds import Kind, check_manifest, find_kind, split_kinds
from tiphys.engine.objects.route import check_route
from tiphys.engine.objects.shared import conflict, get_shared, is_shared, put_shared
from tiphys.engine.objects.tfjob import TFJobController
from tiphys.engine.pods.gpus import NoGpus
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.outputs import REQUEST_LIMIT
from tiphys.engine.runners.base import StartProblem
from tiphys.errors import TiphysError
from tiphys.expr.gjson import gjson
from tiphys.gang.checks import check_gang
from tiphys.reference import open_file
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject, TFJobManifest
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Outputs, ValueFrom
    from tiphys.jsontypes import Json, JsonObject


__all__ = ["ResourcePod"]


class ResourcePod:
    """Runs one ``StartPod`` of a resource template. Failures are worded as the executor's, which ends with 64."""

    def __init__(
        self,
        host: Host,
        resources: Controllers,
        command: StartPod,
        running: Callable[[str], None],
        done: Callable[[PodFinished], None],
        workers: Callable[[], int] | None = None,
    ) -> None:
        self.host = host
        self.resources = resources
        self.command = command
        self.failure: tuple[PodPhase, str] | None = None
        self._spec = command.template["resource"]
        self._running = running
        self._done = done
        self._workers = workers
        self._finished = False
        self._began = 0.0
        self._unwatch: Callable[[], None] | None = None
        self._item: KubeObject | None = None
        self._success: list[Requirement] = []
        self._failure: list[Requirement] = []

    def start(self) -> None:
        """Carry out the action; then wait, or finish."""
        self._running("127.0.0.1")
        now = self.host.loop.now()
        self._began = self.host.since.get(self.command.node_id, now)
        try:
            self._act()
        except (ApiError, PatchError, JsonPathError, StartProblem) as error:
            text = str(getattr(error, "message", "") and error) or str(error)
            # kubectl was tried again and again, as far as it is worth it
            tried = text.startswith(("Error from server", "error: ", "The request is invalid: "))
            self._fail(f"no more retries {text}" if tried else text)
        except NoGpus as error:
            self.host.notice(error)
            self._end("Error", f"{error.code}: {error.message}", {})
        except TiphysError as error:
            heed_full_disk(error)
            self._fail(error.message)
        except (OSError, ValueError, RecursionError) as error:  # of what a step has written as a manifest
            heed_full_disk(error)
            self._fail(str(error))

    def stop(self, grace: float) -> None:
        """The executor's pod ends; what it created stays, as on a cluster."""
        self._end("Failed", "main: Error (exit code 143)", {"exitCode": "143"})

    def kill(self) -> None:
        self.stop(0)

    @property
    def job(self) -> TFJobController | None:
        """The controller of the TFJob that it waits for."""
        return None if self._item is None else self.resources.job(self._item)

    @property
    def told(self) -> tuple[Path, str] | None:
        """Where the training that it waits for tells how far it is: the file, and the replica that does."""
        return None if self._item is None else self.resources.told(self._item)

    # -- actions ------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        action = str(self._spec.get("action") or "")
        flags = [str(flag) for flag in self._spec.get("flags") or []]
        body = self._body()
        manifest = None if body is None or action == "patch" else _object(body)
        if action == "delete":
            self._delete(manifest, flags)
            return
        if action in ("create", "apply", "replace"):
            if manifest is None:
                raise ApiError("BadRequest", "must specify one of -f and -k")
            item = self._put(action, self._staffed(manifest))
        elif action == "get":
            item = self._named(manifest, flags)
        elif action == "patch":
            item = self._patch(body, flags)
        else:
            raise ApiError("BadRequest", f"unknown action {action!r}")
        self._item = item
        self.resources.settled(item, self._settled)

    def _staffed(self, manifest: KubeObject) -> KubeObject:
        """The training with as many workers as it was admitted with (0: suspended), or has, if it is there."""
        if self._workers is None or manifest.get("kind") != "TFJob":
            return manifest
        staffed = copy.deepcopy(cast("TFJobManifest", manifest))
        try:
            worker, policy = staffed["spec"]["tfReplicaSpecs"]["Worker"], staffed["spec"]["runPolicy"]
            there = self.resources.api.get("TFJob", str(staffed["metadata"]["name"]))
            current = cast("TFJobManifest | None", there)
            if current is not None:
                worker["replicas"] = current["spec"]["tfReplicaSpecs"]["Worker"]["replicas"]
            elif count := self._workers():
                worker["replicas"] = count
            else:
                policy["suspend"] = True
        except (KeyError, TypeError):
            return manifest
        return cast("KubeObject", staffed)

    def _condition(self, word: str, text: str) -> list[Requirement]:
        try:
            return parse_labels(text)
        except SelectorError as error:
            raise StartProblem(f"{word} condition '{text}' failed to parse: {error.message}") from error

    def _body(self) -> Json:
        """What the manifest's text holds; None when there is none."""
        from tiphys.argo.reader import read_value  # 15 ms, and few runs have a text to read

        text = str(self._spec.get("manifest") or "")
        if not text:
            source = ((self._spec.get("manifestFrom") or {}).get("artifact")) or None
            if source is None:
                return None
            text = self._artifact(str(source.get("name")))
        return read_value(text)

    def _artifact(self, name: str) -> str:
        from tiphys.engine.pods.artifacts import load_artifact

        for artifact in (self.command.template.get("inputs") or {}).get("artifacts") or []:
            if artifact.get("name") == name:
                folder = self.host.folders.take(self.command.node_id)
                try:
                    load_artifact(self.host, artifact, folder / "manifest")
                    with open_file(folder / "manifest", follow=False) as stream:
                        text = stream.read(REQUEST_LIMIT + 1)
                    if len(text) > REQUEST_LIMIT:
                        raise StartProblem(f"the artifact {name} is too large for a manifest")
                    return text.decode()
                finally:
                    self.host.folders.give_back(folder)
        raise ApiError("NotFound", f"artifact {name}")

    def _put(self, action: str, manifest: KubeObject) -> KubeObject:
        api = self.resources.api
        metadata: ObjectMeta = manifest.get("metadata") or {}
        if not metadata.get("name") and metadata.get("generateName"):
            if action == "apply":
                raise StartProblem(
                    f"error: from {metadata['generateName']}: cannot use generate name with apply"
                )
            manifest = api.named(manifest)
        kind = self._check(manifest)
        name = str((manifest.get("metadata") or {}).get("name") or "")
        if is_shared(kind, name):
            return put_shared(self.host.store, kind, action, manifest)
        current = api.get(kind.kind, name) if name else None
        if self._spec.get("setOwnerReference"):
            manifest = copy.deepcopy(manifest)
            manifest.setdefault("metadata", {}).setdefault("ownerReferences", []).append(self._owner())
        if action == "apply":
            text = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False)
            manifest = copy.deepcopy(manifest)
            own = manifest.setdefault("metadata", {})
            own["annotations"] = {**(own.get("annotations") or {}), LAST_APPLIED: text + "\n"}
        if action == "create" or (action == "apply" and current is None):
            return self.resources.create(manifest, self.host, self.command.node_id)
        if current is None:
            raise ApiError("NotFound", f'{kind.resource} "{name}" not found')
        if action == "apply":
            manifest = _applied(current, manifest)
        elif (manifest.get("metadata") or {}).get("resourceVersion") not in (
            None,
            "",
            current["metadata"].get("resourceVersion"),
        ):
            raise conflict(kind, name)
        api.replace(current, manifest)
        return current

    def _check(self, manifest: KubeObject) -> Kind:
        if not manifest.get("kind"):
            text = json.dumps(manifest, separators=(",", ":"))
            raise StartProblem(
                f"error: unable to decode \"/tmp/manifest.yaml\": Object 'Kind' is missing in '{text}'"
            )
        kind = check_manifest(manifest, f"resource of {self.command.node_name}")
        check_route(manifest, f"resource of {self.command.node_name}")
        check_gang(manifest)
        return kind

    def _patch(self, body: Json, flags: list[str]) -> KubeObject:
        strategy = str(self._spec.get("mergeStrategy") or "strategic")
        named = _object(body) if isinstance(body, dict) and body.get("kind") else None
        item = self._named(named, flags)
        after = apply_patch(cast("JsonObject", item), body, strategy)
        self.resources.api.replace(item, cast("KubeObject", after))
        return item

    def _named(self, manifest: KubeObject | None, flags: list[str]) -> KubeObject:
        """The one object that a manifest or flags name."""
        if manifest is not None:
            kind = check_manifest(manifest, f"resource of {self.command.node_name}")
            return self._need(kind, str((manifest.get("metadata") or {}).get("name") or ""))
        kinds, names, selector = read_flags(flags)
        found = [self._need(kind, name) for kind, name in names]
        if not names:
            found = [item for kind in kinds for item in self.resources.api.find(kind.kind, selector)]
        if len(found) != 1:
            raise ApiError("NotFound", f"expected one object, found {len(found)}")
        return found[0]

    def _need(self, kind: Kind, name: str) -> KubeObject:
        return (
            get_shared(self.host.store, kind, name)
            if is_shared(kind, name)
            else self.resources.api.need(kind, name)
        )

    def _delete(self, manifest: KubeObject | None, flags: list[str]) -> None:
        api = self.resources.api
        if self._spec.get("successCondition") or self._spec.get("failureCondition"):
            raise ApiError("BadRequest", "conditions are not allowed with delete")
        if manifest is not None:
            kind = check_manifest(manifest, f"resource of {self.command.node_name}")
            api.delete(kind.kind, str((manifest.get("metadata") or {}).get("name") or ""))
        else:
            kinds, names, selector = read_flags(flags)
            for each, name in names:
                api.delete(each.kind, name)
            if not names:
                if not selector and "--all" not in flags:
                    raise ApiError("BadRequest", "resource(s) were provided, but no name was specified")
                for each in kinds:
                    for item in api.find(each.kind, selector):
                        api.delete(each.kind, str(item["metadata"]["name"]))
        self._end("Succeeded", "", {"exitCode": "0"})

    # -- waiting ------------------------------------------------------------------------------------------------

    def _settled(self) -> None:
        if self._finished or self._item is None:
            return
        if problem := self.resources.problem(self._item):
            self._fail(problem)
            return
        try:  # Argo reads the conditions when the object is there
            self._success = self._condition("success", str(self._spec.get("successCondition") or ""))
            self._failure = self._condition("fail", str(self._spec.get("failureCondition") or ""))
        except StartProblem as error:
            self._fail(error.message)
            return
        if not self._success and not self._failure:
            self._succeed()
            return
        self._unwatch = self.resources.on_change(self._check_conditions)
        self._check_conditions()

    def _check_conditions(self) -> None:
        if self._finished or self._item is None:
            return
        metadata = self._item["metadata"]
        if self.resources.api.get(str(self._item["kind"]), str(metadata["name"])) is not self._item:
            self._fail("The resource has been deleted while its status was still being checked. ")
            return

        def value(key: str) -> str | None:
            return gjson(self._item, key)

        for each in self._failure:
            if each.matches(value):
                self._fail(f"failure condition '{each}' evaluated true")
                return
        if self._success and all(each.matches(value) for each in self._success):
            self._succeed()

    def _succeed(self) -> None:
        assert self._item is not None
        declared = self.command.template.get("outputs") or {}
        parameters = []
        try:
            for parameter in declared.get("parameters") or []:
                item = copy.deepcopy(parameter)
                source: ValueFrom = item.get("valueFrom") or {}
                if source.get("jsonPath") or source.get("jqFilter"):
                    item["value"] = self._read(source)
                parameters.append(item)
        except (JsonPathError, JqError) as error:
            self._fail(str(error))
            return
        outputs: Outputs = {"exitCode": "0"}
        if parameters:
            outputs["parameters"] = parameters
        self._end("Succeeded", "", outputs)

    def _read(self, source: ValueFrom) -> str:
        try:
            if source.get("jsonPath"):
                return jsonpath(self._item, str(source["jsonPath"]))
            return jq(self._item, str(source["jqFilter"]))
        except (JsonPathError, JqError):
            if source.get("default") is not None:
                return any_string(source["default"])
            raise

    # -- the end ------------------------------------------------------------------------------------------------

    def _fail(self, text: str) -> None:
        self._end("Failed", f"main: Error (exit code 64): {text}", {"exitCode": "64"})

    def _end(self, phase: PodPhase, message: str, outputs: Outputs) -> None:
        if self._finished:
            return
        self._finished = True
        if self._unwatch is not None:
            self._unwatch()
        if self.failure is not None:
            phase, message = self.failure
        log = self.host.log_path(self.command.node_id)
        lines = [message or self._done_line()]
        if message and self._item is not None:
            lines += self.resources.report(self._item)
        with open(log, "a") as stream:
            stream.writelines(line + "\n" for line in lines)
        now = self.host.loop.now()
        resources = pod_duration([({}, self._began or now, now)])
        event = PodFinished(now, self.command.node_id, phase, message, outputs, resources=resources)
        self._done(event)

    def _done_line(self) -> str:
        if self._item is None:
            return f"resource {self._spec.get('action')} done"
        kind = find_kind(str(self._item["kind"]))
        shown = kind.singular if kind else str(self._item["kind"]).lower()
        return f"{shown}/{self._item['metadata']['name']} {self._spec.get('action')} done"

    def _owner(self) -> JsonObject:
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "name": self.host.workflow,
            "uid": self.host.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def _object(body: Json) -> KubeObject:
    if not isinstance(body, dict):
        raise ApiError("BadRequest", "the manifest holds no object")
    return cast("KubeObject", body)


def _applied(current: KubeObject, manifest: KubeObject) -> KubeObject:
    """``kubectl apply``, by what was applied last."""
    last = json.loads((current["metadata"].get("annotations") or {}).get(LAST_APPLIED) or "{}")
    before, wanted = cast("JsonObject", current), cast("JsonObject", manifest)
    here = {key: value for key, value in before.items() if key != "status"}
    return cast("KubeObject", three_way(here, last, wanted, type_of(manifest)))


def read_flags(flags: list[str]) -> tuple[list[Kind], list[tuple[Kind, str]], str]:
    """kubectl's arguments: the kinds, the (kind, name) pairs, the selector. Raises RefusedError, ApiError."""
    words: list[str] = []
    selector = ""
    pending = ""
    for flag in (
        part
        for each in flags
        for part in (shlex.split(each) if each.count(" ") and each.startswith("-") else [each])
    ):
        if pending:
            if pending in ("-l", "--selector"):
                selector = flag
            pending = ""
        elif flag in (
            "-l",
            "--selector",
            "-n",
            "--namespace",
            "--type",
            "--field-selector",
            "--field-manager",
        ):
            pending = flag
        elif flag.startswith(("--selector=", "-l=")):
            selector = flag.partition("=")[2]
        elif flag.startswith("-l") and len(flag) > 2:
            selector = flag[2:]
        elif not flag.startswith("-"):
            words.append(flag)
    if not words:
        raise ApiError("BadRequest", "must specify the type of resource")
    if all("/" in word for word in words):
        pairs = [word.partition("/") for word in words]
        named = [(split_kinds(kind)[0], name) for kind, _, name in pairs]
        return [kind for kind, _ in named], named, selector
    kinds = split_kinds(words[0])
    return kinds, [(kind, name) for name in words[1:] for kind in kinds], selector
