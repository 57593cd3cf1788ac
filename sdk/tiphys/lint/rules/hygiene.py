"""What is accepted and runs, until it is someone's input, another image or another cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from tiphys.argo.any_string import any_string
from tiphys.argo.reader import Path
from tiphys.argo.selectors import label_key_problem, label_value_problem
from tiphys.errors import redacted
from tiphys.lazy import regex
from tiphys.lint.finding import Severity
from tiphys.lint.manifests import resource_objects
from tiphys.lint.model import TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.spelling import runs_out, step_json, template_json
from tiphys.lint.tags import simple_tags, strings, tags_in

_HERAS = "json.loads(r'''{{inputs.parameters."  # of Hera's inline scripts, whose text no author writes
_SHELLS = regex(r"(?:^|/)(?:ba|da|a|z|k)?sh$")
_SECRET = regex(r"(?:^|[-_.])(password|passwd|secret|token|api[-_]?key|access[-_]?key|credentials?)$", re.I)
_VALUES = ("inputs.parameters.", "steps.", "tasks.", "item", "workflow.parameters.")
_NAME = regex(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_NOT_TEXT = (int, float, bool, dict, list)


@rule(
    "L350",
    "bare-parameter",
    "warning",
    what="A bare number, boolean, list or mapping as the value of a parameter.",
    why="`argo submit` makes text of it, an empty one of a list or a mapping; applied with kubectl it crashes "
    "the whole 4.1.2 controller, again at each restart until the workflow is deleted.",
    source="seen on the real 4.1.2 controller (cannot convert int64 to string)",
    fixable=True,
    needs="parameters",
)
def bare_parameter(workflow: WorkflowView) -> Iterator[Issue]:
    data = workflow.document.data
    for step in workflow.spec_path:
        data = data.get(step) if isinstance(data, dict) else None
    for path, value in _bare_values(data, workflow.spec_path):
        words = f"{path[-1]!r} is a bare {type(value).__name__}: {any_string(value) or value}"
        yield Issue(
            path, words.replace("int:", "number:").replace("bool:", "boolean:"), fix="put it in quotes"
        )


@rule(
    "L351",
    "tag-not-closed",
    "warning",
    what="A `{{` without its `}}`.",
    why="Everything up to the next `}}` of the template, even in another field, is taken for the tag. "
    "Where none follows, the template cannot be read (an error).",
    source="argo-workflows v4.1.2, util/template (fasttemplate over the JSON text)",
    scope="template",
    needs="{{",
)
def tag_not_closed(template: TemplateView) -> Iterator[Issue]:
    data = {key: value for key, value in template.data.items() if key not in ("steps", "dag")}
    parts = [(template.path, data, "")] + [(call.path, call.data, "step") for call in template.calls()]
    for path, part, kind in parts:
        for steps, text in strings(part):
            if any(not tag.closed for tag in tags_in(text)):
                fatal = runs_out(template_json(template.data)) or (
                    kind == "step" and runs_out(step_json(part))
                )
                words = f"{template.label}: a {{{{ is not closed"
                severity: Severity = "error" if fatal else "warning"
                yield Issue((*path, *steps), words, fix="add }}", severity=severity)


@rule(
    "L352",
    "image-tag",
    "warning",
    what="An image without a tag, or with the tag `latest`.",
    why="The same workflow runs something else tomorrow, and a cached result does not notice.",
    source="Kubernetes documentation, images",
    scope="template",
)
def image_tag(template: TemplateView) -> Iterator[Issue]:
    for path, container in template.containers():
        image = container.get("image", "")
        if _unpinned(image):
            yield Issue(
                (*path, "image"), f"{template.label}: image {image!r} has no fixed tag", fix="add a tag"
            )
    if template.type == "Resource":
        for manifest in resource_objects(template):
            for path, container in manifest.containers():
                image = container.get("image", "")
                if _unpinned(image) and not manifest.templated(*path, "image"):
                    words = f"{manifest.label}: image {image!r} has no fixed tag"
                    yield manifest.issue((*path, "image"), words, fix="add a tag")


@rule(
    "L353",
    "no-resources",
    "info",
    what="A container without requests or limits.",
    why="The scheduler cannot place it well, and one step can starve the others of its node.",
    source="Kubernetes documentation, managing resources for containers",
    scope="template",
)
def no_resources(template: TemplateView) -> Iterator[Issue]:
    defaults = template.workflow.spec.get("templateDefaults") or {}
    if template.data.get("podSpecPatch") or template.workflow.spec.get("podSpecPatch"):
        return
    if "podResources" in template.data or "podResources" in template.workflow.spec:
        return
    shared = {
        "container": (defaults.get("container") or {}).get("resources"),
        "script": (defaults.get("script") or {}).get("resources"),
    }
    for path, container in template.containers():
        given = container.get("resources") or shared.get(str(path[-1])) or {}
        absent = [key for key in ("requests", "limits") if not given.get(key)]
        if absent and path[-2] != "initContainers":
            words = f"{template.label}: the container has no resource {' and '.join(absent)}"
            yield Issue(
                path, words, fix="add resources: {requests: {cpu: ..., memory: ...}, limits: {memory: ...}}"
            )


@rule(
    "L354",
    "secret-in-plain",
    "warning",
    what="A literal value in a parameter or variable that is named like a secret, or a password in a URL.",
    why="It can be read in the workflow, in its archive and in the logs.",
    source="Kubernetes documentation, secrets",
)
def secret_in_plain(workflow: WorkflowView) -> Iterator[Issue]:
    fix = "use a Secret: env valueFrom.secretKeyRef"
    for index, item in enumerate((workflow.spec.get("arguments") or {}).get("parameters") or []):
        if _secret(item.get("name", ""), item.get("value", "")):
            path = workflow.at("arguments", "parameters", index, "value")
            yield Issue(path, f"the parameter {item['name']!r} holds a secret in plain text", fix=fix)
    for template in workflow.every_template():
        for index, item in enumerate(template.inputs("parameters")):
            for key, text in (("value", item.get("value", "")), ("default", item.get("default", ""))):
                if _secret(item.get("name", ""), text):
                    path = (*template.path, "inputs", "parameters", index, key)
                    yield Issue(path, f"the input {item['name']!r} holds a secret in plain text", fix=fix)
        for place, container in template.containers():
            for index, variable in enumerate(container.get("env") or []):
                if _secret(variable.get("name", ""), variable.get("value", "")):
                    words = (
                        f"{template.label}: the variable {variable['name']!r} holds a secret in plain text"
                    )
                    yield Issue((*place, "env", index, "value"), words, fix=fix)
        yield from _passwords_in_urls(template)


_URLS = (("http", "url"), ("git", "repo"), ("artifactory", "url"))


def _passwords_in_urls(template: TemplateView) -> Iterator[Issue]:
    fix = "name a Secret (auth.basicAuth, or usernameSecret and passwordSecret)"
    for side, artifacts in (
        ("inputs", template.inputs("artifacts")),
        ("outputs", template.outputs("artifacts")),
    ):
        for index, artifact in enumerate(artifacts):
            for kind, field in _URLS:
                place = artifact.get(kind)
                url = place.get(field) if isinstance(place, dict) else None
                if isinstance(url, str) and redacted(url) != url and "{{" not in url:
                    words = f"{template.label}: the URL of artifact {artifact.get('name', '')!r} has a password in it"
                    yield Issue((*template.path, side, "artifacts", index, kind, field), words, fix=fix)


@rule(
    "L355",
    "spliced-value",
    "warning",
    what="A parameter put into the text of a shell command or a script.",
    why="A value with a quote or `;` changes what is run: code injection.",
    source="argo-workflows documentation, security",
    scope="template",
    needs="{{",
)
def spliced_value(template: TemplateView) -> Iterator[Issue]:
    for path, text in _programs(template):
        names = [name for name in simple_tags(text) if name.startswith(_VALUES)]
        if names:
            shown = ", ".join("{{" + name + "}}" for name in dict.fromkeys(names))
            words = f"{template.label}: {shown} is spliced into the program text"
            fix = "pass it by env (`env: [{name: X, value: '{{...}}'}]`) and use \"$X\""
            if _HERAS in text:
                fix = 'let Hera pass it as data: @script(constructor="runner"), or a component of Tiphys: @component'
            yield Issue(path, words, fix=fix)


@rule(
    "L356",
    "workflow-too-large",
    "warning",
    what="A workflow of more than 1 MiB.",
    why="Kubernetes stores objects up to about 1.5 MB, and the status grows with every node.",
    source="etcd request limit",
)
def workflow_too_large(workflow: WorkflowView) -> Iterator[Issue]:
    if len(workflow.document.text) < 500_000 and workflow.document.node is not None:
        return
    size = len(json.dumps(workflow.document.data, separators=(",", ":")).encode())
    if size > 1048576:
        words = f"the {workflow.kind} has {size} bytes as JSON, more than 1048576"
        yield Issue(("spec",), words, fix="move templates to a WorkflowTemplate, data to artifacts", key=True)


@rule(
    "L357",
    "object-identity",
    "warning",
    what="An apiVersion, name or label that the API server refuses, or no name at all.",
    why="`argo lint` looks at the kind only. Names are lower case letters, digits, `-` and `.`.",
    source="Kubernetes documentation, object names and IDs; labels and selectors",
)
def object_identity(workflow: WorkflowView) -> Iterator[Issue]:
    api = workflow.data.get("apiVersion", "")
    if api != "argoproj.io/v1alpha1":
        words = f"the apiVersion of a {workflow.kind} is argoproj.io/v1alpha1, not {api!r}"
        yield Issue(("apiVersion",), words, fix="write apiVersion: argoproj.io/v1alpha1")
    meta = workflow.metadata
    name = meta.get("name") or meta.get("generateName", "").rstrip("-.")
    if not meta.get("name") and not meta.get("generateName"):
        yield Issue(("metadata",), f"the {workflow.kind} has neither name nor generateName", fix="name it")
    elif name and not _NAME.match(name):
        key = "name" if meta.get("name") else "generateName"
        words = f"{key} {meta.get('name') or meta.get('generateName')!r} is no Kubernetes name"
        yield Issue(("metadata", key), words, fix="use lower case letters, digits and -")
    for label, value in (meta.get("labels") or {}).items():
        if label_key_problem(label) or label_value_problem(value):
            words = f"the label {label}: {value!r} is not legal"
            yield Issue(
                ("metadata", "labels", label), words, fix="letters, digits, -, _ and . only, at most 63"
            )


def _bare_values(data: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Bare scalars that Argo types as AnyString: values, defaults and enums of parameters."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("parameters",) and isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        yield from _bare_parameter(item, (*path, key, index))
            elif isinstance(value, dict | list) and key not in ("manifest", "withItems"):
                yield from _bare_values(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _bare_values(value, (*path, index))


def _bare_parameter(item: Mapping[str, object], path: Path) -> Iterator[tuple[Path, object]]:
    for key in ("value", "default"):
        if isinstance(item.get(key), _NOT_TEXT):
            yield (*path, key), item[key]
    source = item.get("valueFrom")
    if isinstance(source, dict) and isinstance(source.get("default"), _NOT_TEXT):
        yield (*path, "valueFrom", "default"), source["default"]
    choices = item.get("enum")
    for index, value in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(value, _NOT_TEXT):
            yield (*path, "enum", index), value


def _unpinned(image: str) -> bool:
    if not image or "{{" in image or "@sha256:" in image:
        return False
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return tag in ("", "latest")


def _secret(name: str, value: str) -> bool:
    return bool(value) and "{{" not in value and _SECRET.search(name) is not None and len(value) > 2


def _programs(template: TemplateView) -> Iterator[tuple[Path, str]]:
    """Texts that an interpreter runs: a script's source, the argument after `sh -c`."""
    script = template.data.get("script")
    if script and script.get("source"):
        yield (*template.path, "script", "source"), script["source"]
    for path, container in template.containers():
        words = [("command", index, word) for index, word in enumerate(container.get("command") or [])]
        words += [("args", index, word) for index, word in enumerate(container.get("args") or [])]
        if not words:
            continue
        shell = _SHELLS.search(words[0][2]) is not None or words[0][2].startswith(("python", "node"))
        for at, (key, index, word) in enumerate(words[1:], 1):
            option = words[at - 1][2]
            if shell and at and re.fullmatch(r"-[a-z]*[ce]", option):
                yield (*path, key, index), word
