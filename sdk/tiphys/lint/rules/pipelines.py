"""Pipelines: what is declared and not used, made twice, or served otherwise than it was trained."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

from tiphys.argo.reader import Path
from tiphys.lazy import regex
from tiphys.lint.analysis import walk_of
from tiphys.lint.depends import ancestors, graph
from tiphys.lint.manifests import Manifest, resource_objects
from tiphys.lint.model import TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule

_SCALING = regex(r"/=?\s*255(?:\.0?)?\b|Rescaling\(\s*1(?:\.0?)?\s*/\s*255")
_VERSION = regex(r"""["'](/?[\w./{}-]*(?:model|version|serving)[\w./{}-]*/\d+)/?["']""", re.I)
_WRITES = regex(r"(checkpoint|ckpt|output|out[-_]dir|save|export|log[-_]?dir|model[-_]dir)", re.I)
_QUOTES = ("'", '"', "\\'", '\\"')
_WORDS: tuple[Literal["command", "args"], ...] = ("command", "args")
_CATEGORY = "the nine defects of a widely copied example workflow"


@rule(
    "L401",
    "unused-output",
    "info",
    what="An output parameter that nothing refers to.",
    why="It is written and stored for nobody; often the consumer names another one.",
    source=_CATEGORY,
    needs="outputs",
)
def unused_output(workflow: WorkflowView) -> Iterator[Issue]:
    if workflow.reusable or workflow.spec.get("workflowTemplateRef"):
        return
    text = _spec_text(workflow)
    entry = workflow.spec.get("entrypoint", "")
    for template in workflow.templates:
        if template.name == entry or template.type in ("Suspend", "HTTP", "Plugin"):
            continue
        for index, item in enumerate(template.outputs("parameters")):
            name = item.get("name", "")
            if item.get("globalName") or not name:
                continue
            if not _mentions(text, "outputs.parameters", name, whole=False):
                if "outputs.parameters}}" in text or "memoize" in template.data:
                    continue
                words = f"{template.label}: the output {name!r} is not used"
                yield Issue(
                    (*template.path, "outputs", "parameters", index), words, fix="remove it, or use it"
                )


@rule(
    "L402",
    "unused-parameter",
    "warning",
    what="An input or argument of the workflow that nothing uses.",
    why="The caller believes that it has an effect.",
    source=_CATEGORY,
    needs="parameters",
)
def unused_parameter(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.every_template():
        if template.type in ("Suspend", "Plugin", "") or not template.inputs("parameters"):
            continue
        body = {key: value for key, value in template.data.items() if key != "inputs"}
        text = json.dumps([body, (template.data.get("inputs") or {}).get("artifacts")])
        if re.search(r"inputs\.parameters(?:\s*\}\}|\.toJson|\)|\s*\|)|toJson\(inputs", text):
            continue  # all of them at once
        for index, item in enumerate(template.inputs("parameters")):
            name = item.get("name", "")
            if name and not _mentions(text, "inputs.parameters", name):
                words = f"{template.label}: the input {name!r} is not used"
                path = (*template.path, "inputs", "parameters", index)
                yield Issue(path, words, fix="remove it, or use {{inputs.parameters." + name + "}}")
    if workflow.reusable or workflow.spec.get("workflowTemplateRef"):
        return
    text = _spec_text(workflow)
    entry = workflow.template(workflow.spec.get("entrypoint", ""))
    taken = {item.get("name") for item in (entry.inputs("parameters") if entry else [])}
    for index, item in enumerate((workflow.spec.get("arguments") or {}).get("parameters") or []):
        name = item.get("name", "")
        used = _mentions(text, "workflow.parameters", name) or "workflow.parameters}}" in text
        if name and not used and name not in taken and "workflow.parameters.json" not in text:
            words = f"the workflow's parameter {name!r} is not used"
            yield Issue(workflow.at("arguments", "parameters", index), words, fix="remove it, or use it")


@rule(
    "L403",
    "sibling-argument",
    "warning",
    what="A step that is named for one variant but passes the name of another.",
    why="One variant is made twice and the other never: copied text that was not changed.",
    source=_CATEGORY,
    fixable=True,
)
def sibling_argument(workflow: WorkflowView) -> Iterator[Issue]:
    groups: dict[str, list[tuple[str, TemplateView]]] = {}
    for template in workflow.templates:
        words = template.name.split("-")
        for cut in range(1, len(words)):
            groups.setdefault("-".join(words[:cut]), []).append(("-".join(words[cut:]), template))
            groups.setdefault("*-" + "-".join(words[cut:]), []).append(("-".join(words[:cut]), template))
    told: set[int] = set()
    for members in groups.values():
        names = {name for name, _ in members}
        for name, template in members:
            if len(members) < 2 or id(template) in told:
                continue
            for issue_at, text in _literals(template):
                word = text.replace("_", "-").lower()
                if word in names and word != name.lower() and not _passes(template, name):
                    told.add(id(template))
                    message = f"{template.label} passes {text!r}, the name of its sibling, and never {name!r}"
                    yield issue_at(message, f"pass {name!r}")


@rule(
    "L404",
    "preprocessing-twice",
    "warning",
    what="Input scaling (`/ 255`) in the text of a step, beside a model that is served.",
    why="What is served gets other inputs than it was trained on. Preprocessing belongs into the model.",
    source=_CATEGORY,
    needs="255",
)
def preprocessing_twice(workflow: WorkflowView) -> Iterator[Issue]:
    served = any(
        _serves(manifest) for template in workflow.templates for manifest in resource_objects(template)
    )
    served = served or "tensorflow/serving" in json.dumps(workflow.spec)
    if not served:
        return
    for template in workflow.templates:
        source = (template.data.get("script") or {}).get("source", "")
        texts = [((*template.path, "script", "source"), source)]
        for path, container in template.containers():
            for key in _WORDS:
                texts += [((*path, key, at), word) for at, word in enumerate(container.get(key) or [])]
        for path, text in texts:
            if _SCALING.search(text):
                words = f"{template.label} scales by 255 outside the model that is served"
                yield Issue(
                    path, words, fix="put the scaling into the model (a Rescaling layer, or its signature)"
                )


@rule(
    "L405",
    "hard-coded-versions",
    "warning",
    what="A step that chooses among model versions written into its text.",
    why="It ignores what this run trained, has no threshold and leaves no record.",
    source=_CATEGORY,
    needs="script",
)
def hard_coded_versions(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.templates:
        source = (template.data.get("script") or {}).get("source", "")
        places = sorted(set(_VERSION.findall(source)))
        if len(places) > 1:
            words = f"{template.label} names fixed model versions: {', '.join(places)}"
            fix = "pass the models and their accuracies as inputs, with a threshold"
            yield Issue((*template.path, "script", "source"), words, fix=fix)


@rule(
    "L406",
    "serving-single",
    "warning",
    what="A model server with a single replica.",
    why="One lost pod, or the next roll-out, interrupts the service.",
    source=_CATEGORY,
    scope="manifest",
)
def serving_single(manifest: Manifest) -> Iterator[Issue]:
    if manifest.kind == "InferenceService":
        least = manifest.get("spec", "predictor", "minReplicas")
        least = 1 if least is None else least
        if isinstance(least, int) and least < 2:
            words = f"{manifest.label} keeps {least} replica"
            yield manifest.issue(("spec", "predictor"), words, fix="add minReplicas: 2", key=True)
    elif manifest.kind == "Deployment" and _serves(manifest):
        count = manifest.get("spec", "replicas")
        if not manifest.templated("spec", "replicas") and (count is None or count == 1):
            yield manifest.issue(
                ("spec",), f"{manifest.label} keeps 1 replica", fix="write replicas: 2", key=True
            )


@rule(
    "L407",
    "parallel-writes",
    "warning",
    what="Two steps that can run at the same time and write the same path of a shared volume.",
    why="Each overwrites the other's files: checkpoints of different models are mixed.",
    source=_CATEGORY,
    needs="volumeMounts",
)
def parallel_writes(workflow: WorkflowView) -> Iterator[Issue]:
    walk = walk_of(workflow)
    for template in workflow.templates:
        calls = template.calls()
        written = ((call, _written(walk.targets.get(call.path))) for call in calls)
        writes = [(call, paths) for call, paths in written if paths]
        edges = graph([call.data for call in calls]) if template.type == "DAG" and len(writes) > 1 else {}
        before = {call.name: ancestors(call.name, edges) for call, _ in writes}
        told: set[str] = set()
        for at, (call, paths) in enumerate(writes):
            for other, others in writes[:at]:
                if template.type == "Steps" and call.group != other.group:
                    continue
                if other.name in before[call.name] or call.name in before[other.name]:
                    continue
                for path in sorted(set(paths) & set(others)):
                    if path not in told or call.name not in told:
                        told |= {path, call.name}
                        words = f"{call.label} and {other.name!r} both write {path} at the same time"
                        yield Issue(call.path, words, fix="give each its own folder, named by model or job")


@rule(
    "L408",
    "output-key-twice",
    "warning",
    what="Two output artifacts with the same fixed key.",
    why="The later one overwrites the earlier.",
    source="argo-workflows documentation, artifacts",
    needs="artifacts",
)
def output_key_twice(workflow: WorkflowView) -> Iterator[Issue]:
    seen: dict[tuple[str, str, str], str] = {}
    for template in workflow.every_template():
        for index, item in enumerate(template.outputs("artifacts")):
            places: Mapping[str, object] = item
            for kind in ("s3", "gcs", "oss", "azure", "hdfs"):
                place = places.get(kind)
                if not isinstance(place, dict):
                    continue
                key = place.get("key") or place.get("blob") or place.get("path") or ""
                if not key or "{{" in key:
                    continue
                label = f"{template.label}.outputs.artifacts.{item.get('name', '')}"
                where = (kind, str(place.get("bucket", place.get("container", ""))), str(key))
                if where in seen:
                    path = (*template.path, "outputs", "artifacts", index, kind)
                    words = f"{label} is written to the key {key!r}, like {seen[where]}"
                    yield Issue(path, words, fix="begin the key with {{workflow.name}}/{{pod.name}}/")
                seen.setdefault(where, label)


@rule(
    "L349",
    "keras-multi-worker",
    "warning",
    what="MultiWorkerMirroredStrategy with Keras' fit, without TF_USE_LEGACY_KERAS.",
    why="Keras 3 fails under it: a PerReplica value cannot become a tensor.",
    source="TensorFlow 2.21 with Keras 3, seen",
    scope="template",
    needs="MultiWorker",
)
def keras_multi_worker(template: TemplateView) -> Iterator[Issue]:
    source = (template.data.get("script") or {}).get("source", "")
    if "MultiWorkerMirroredStrategy" in source and ".fit(" in source:
        whole = json.dumps(template.data)
        if "TF_USE_LEGACY_KERAS" not in whole and "tf_keras" not in source:
            words = f"{template.label} trains with Keras 3 under MultiWorkerMirroredStrategy"
            fix = "install tf-keras and set the variable TF_USE_LEGACY_KERAS to 1"
            yield Issue((*template.path, "script", "source"), words, fix=fix)


def _spec_text(workflow: WorkflowView) -> str:
    if "spec text" not in workflow.cache:
        workflow.cache["spec text"] = json.dumps(workflow.spec)
    return str(workflow.cache["spec text"])


def _mentions(text: str, family: str, name: str, *, whole: bool = True) -> bool:
    """Whether JSON has ``family.name``, or ``family['name']`` (not ``whole``: one that begins so).

    A pattern for each name would take longer to compile than all the rest of these rules.
    """
    dotted = f"{family}.{name}"
    at = text.find(dotted)
    while at >= 0:
        following = text[at + len(dotted) : at + len(dotted) + 1]
        if not following.isalnum() and following not in ("-", "_"):
            return True
        at = text.find(dotted, at + 1)
    if f"{family}[" not in text:
        return False
    ends = [f"{quote}]" for quote in _QUOTES] if whole else [""]
    return any(f"{family}[{quote}{name}{end}" in text for quote in _QUOTES for end in ends)


def _literals(template: TemplateView) -> Iterator[tuple[Callable[[str, str], Issue], str]]:
    """The literal words that a template passes, with what makes an issue at each; manifests included."""
    for path, container in template.containers():
        for key in _WORDS:
            for index, word in enumerate(container.get(key) or []):
                place = (*path, key, index)
                yield partial(_issue, place), word.rpartition("=")[2]
    for manifest in resource_objects(template) if template.type == "Resource" else ():
        for path, container in manifest.containers():
            for key in _WORDS:
                for index, word in enumerate(container.get(key) or []):
                    place = (*path, key, index)
                    yield partial(_manifest_issue, manifest, place), word.rpartition("=")[2]


def _issue(path: Path, message: str, fix: str) -> Issue:
    return Issue(path, message, fix=fix)


def _manifest_issue(manifest: Manifest, path: Path, message: str, fix: str) -> Issue:
    return manifest.issue(path, message, fix=fix)


def _passes(template: TemplateView, name: str) -> bool:
    return any(text.replace("_", "-").lower() == name.lower() for _, text in _literals(template))


def _written(template: TemplateView | None) -> list[str]:
    """Literal paths on shared volumes that follow an option such as --checkpoint-dir."""
    if template is None:
        return []
    holders = [container for _, container in template.containers()]
    if template.type == "Resource":
        holders += [item for manifest in resource_objects(template) for _, item in manifest.containers()]
    found: list[str] = []
    for container in holders:
        mounts = [mount.get("mountPath", "") for mount in container.get("volumeMounts") or []]
        words = [w for key in _WORDS for w in container.get(key) or []]
        parts = [part for word in words for part in re.split(r"[\s=]+", word)]
        for option, value in itertools.pairwise(parts):
            inside = any(mount and value.startswith(mount.rstrip("/") + "/") for mount in mounts)
            if inside and option.startswith("-") and _WRITES.search(option) and "{{" not in value:
                found.append(value.rstrip("/"))
    return found


def _serves(manifest: Manifest) -> bool:
    if manifest.kind == "InferenceService":
        return True
    images = [item.get("image", "") for _, item in manifest.containers()]
    return any("serving" in image for image in images if isinstance(image, str))
