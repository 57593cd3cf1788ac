"""Argo's own way through a workflow: from the entrypoint, the exit handler, then every template.

Argo stops at the first fault; this walk goes on and notes every one under a topic, for the rules to tell.
What is visible where depends on the order of the visits (names exported to the workflow), so the order is
Argo's: templates are checked once each, depth first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tiphys.argo.reader import Document, Path
from tiphys.argo.spec import template_kind
from tiphys.lint import depends
from tiphys.lint.model import CallView, Project, TemplateView, WorkflowView
from tiphys.lint.registry import Issue
from tiphys.lint.scope import Scope, global_names, items, own_names, result_names
from tiphys.lint.tags import simple_tags, strings, tags_in

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, Parameter, TemplateRef, WorkflowTemplateRef

Named = TypeVar("Named", "Parameter", "Artifact")

__all__ = ["Inside", "TagReference", "Walk", "has_location"]

Values = dict[str, str | None]  # name -> what it stands for here; None where only a run knows


class TagReference:
    """A tag that was looked up: where, what, and whether it resolves."""

    __slots__ = ("closed", "document", "known", "label", "name", "path", "quiet", "scope", "template", "text")

    def __init__(self, template: TemplateView, path: Path, name: str, text: str, label: str) -> None:
        self.template = template
        self.path = path
        self.name = name
        self.text = text
        self.label = label
        self.document: Document = template.workflow.document
        self.known = True
        self.closed = True
        self.quiet = False
        self.scope: Scope | None = None


class Inside(NamedTuple):
    """An expression in a tag: where, its text, and the names that can be used there."""

    workflow: WorkflowView
    path: Path
    text: str
    label: str
    scope: Scope


class Walk:
    """The walk of one object; ``issues[topic]``, ``references`` and ``expressions`` are what it found."""

    def __init__(self, workflow: WorkflowView, project: Project) -> None:
        self.workflow = workflow
        self.project = project
        self.issues: dict[str, list[Issue]] = {}
        self.references: list[TagReference] = []
        self.expressions: list[Inside] = []
        self.targets: dict[Path, TemplateView] = {}  # path of a step or task -> the template it calls
        self.reached: set[int] = set()  # id() of templates that the entrypoint or exit handler reach
        self.done: set[tuple[str, str, str, str]] = set()
        self.shared: WorkflowView | None = None
        self.globals = Scope()
        self.values: Values = {}
        self.final = False
        self.run()

    def note(self, topic: str, owner: WorkflowView, path: Path, message: str, **more: Any) -> None:
        document = None if owner is self.workflow else owner.document
        issue = Issue(path, message, document=document, **more)
        known = self.issues.setdefault(topic, [])
        if issue not in known:
            known.append(issue)

    def run(self) -> None:
        workflow, spec = self.workflow, self.workflow.spec
        arguments = spec.get("arguments") or {}
        entrypoint = spec.get("entrypoint", "")
        on_exit = spec.get("onExit", "")
        reference = spec.get("workflowTemplateRef")
        if reference is not None:
            self.shared = self.find(reference.get("name", ""), reference.get("clusterScope", False))
            if self.shared is None:
                self.missing_shared(workflow, workflow.at("workflowTemplateRef", "name"), reference, "")
                return
            entrypoint = entrypoint or self.shared.spec.get("entrypoint", "")
            on_exit = on_exit or self.shared.spec.get("onExit", "")
            theirs = self.shared.spec.get("arguments") or {}
            arguments = {
                **arguments,
                "parameters": _added(arguments.get("parameters"), theirs.get("parameters")),
                "artifacts": _added(arguments.get("artifacts"), theirs.get("artifacts")),
            }
        parameters = arguments.get("parameters") or []
        self.globals.names = global_names(workflow, parameters, self.shared)
        if workflow.reusable:
            self.globals.wild.add("workflow.parameters")
        for item in parameters:
            self.values[f"workflow.parameters.{item.get('name', '')}"] = item.get("value")
        home = self.shared or workflow
        if entrypoint:
            given = None if workflow.reusable else arguments
            self.enter(home, entrypoint, workflow.at("entrypoint"), given)
        elif not workflow.reusable:
            self.note("entrypoint", workflow, workflow.at(), "spec.entrypoint is required")
        if on_exit:
            self.globals.names.add("workflow.failures")
            exported = [a for t in home.templates for a in t.outputs("artifacts")]
            if any("{{" in item.get("globalName", "") for item in exported):
                self.globals.wild.add("workflow.outputs.artifacts.")
            self.enter(home, on_exit, workflow.at("onExit"), spec.get("arguments") or {})
        self.final = True
        for template in home.templates:
            self.visit(template, None)

    def enter(self, home: WorkflowView, name: str, path: Path, given: Arguments | None) -> None:
        template = home.template(name)
        if template is None:
            near = tuple(item.name for item in home.templates if item.name)
            self.note("template", self.workflow, path, f"template name {name!r} undefined", near=near)
            return
        self.visit(template, given, path)

    def find(self, name: str, cluster: bool) -> WorkflowView | None:
        return self.project.find(name, self.workflow.namespace, cluster)

    def missing_shared(
        self, owner: WorkflowView, path: Path, reference: TemplateRef | WorkflowTemplateRef, label: str
    ) -> None:
        kind = template_kind(reference)
        words = "cluster workflow template" if reference.get("clusterScope") else "workflow template"
        name, space = reference.get("name", ""), self.workflow.namespace
        where = "" if reference.get("clusterScope") else f' in namespace "{space}"'
        others = [key for key in self.project.shared if key[0] == kind]
        near = tuple(key[2] for key in others if key[2] != name)
        spaces = sorted({key[1] for key in others if key[2] == name})
        fix = (
            f"it is given in namespace {spaces[0]!r}: write the same namespace in both"
            if spaces
            else f"give the file with {kind} {name!r} in the same call"
        )
        message = f"{label}couldn't find {words} {name!r}{where}"
        self.note("shared", owner, path, message, fix=fix, near=near)

    # one template

    def visit(self, template: TemplateView, given: Arguments | None, path: Path = ()) -> None:
        """Check a template; ``given`` are its arguments, None where only their existence is assumed."""
        if not template.type:
            return  # told by the rule on template types
        values = self.supply(template, given, self.workflow, path or template.path, "")
        if not self.final:
            self.reached.add(id(template))
        home = template.workflow
        key = (home.kind, home.namespace, home.name, "" if template.inline else template.name)
        if key in self.done:
            if template.inline:
                self.check(template, values, quiet=True)  # Argo looks at the first inline template only
            return
        self.done.add(key)
        first = len(self.references)
        self.check(template, values)
        if given is None:
            self.soften(template, self.references[first:])

    def check(self, template: TemplateView, values: Values, quiet: bool = False) -> None:
        scope = Scope(self.globals.names | own_names(template), set(self.globals.wild))
        if template.leaf:
            for item in template.outputs("artifacts"):
                if item.get("path"):
                    scope.names.add(f"outputs.artifacts.{item.get('name', '')}.path")
        first = len(self.references)
        if template.type == "Steps":
            self.steps(template, scope, values)
        elif template.type == "DAG":
            self.dag(template, scope, values)
        else:
            self.refer(template, template.data, template.path, scope, f"{template.label}:", values)
        if not template.leaf and template.type != "Suspend":
            data = template.data.get("outputs") or {}
            self.refer(
                template, data, (*template.path, "outputs"), scope, f"{template.label}.outputs", values
            )
        for reference in self.references[first:]:
            reference.quiet = reference.quiet or quiet

    def soften(self, template: TemplateView, references: list[TagReference]) -> None:
        """An assumed argument replaces an input artifact whole, its location with the tags in it too."""
        start = (*template.path, "inputs", "artifacts")
        for reference in references:
            inside = reference.path[: len(start)] == start
            if inside and reference.path[len(start) + 1 :][:1] not in (("name",), ("path",)):
                reference.quiet = True

    def supply(
        self,
        template: TemplateView,
        given: Arguments | None,
        owner: WorkflowView,
        path: Path,
        label: str,
    ) -> Values:
        """Note inputs that get no value; return what the names of the template stand for."""
        values: Values = dict(self.values)
        passed: Arguments = given or {}
        parameters = {item.get("name"): item for item in passed.get("parameters") or []}
        artifacts = {item.get("name"): item for item in passed.get("artifacts") or []}
        for item in template.inputs("parameters"):
            name = item.get("name", "")
            value, source = item.get("value", item.get("default")), item.get("valueFrom")
            if given is None:
                value = None
            elif name in parameters:
                value, source = parameters[name].get("value"), parameters[name].get("valueFrom")
            values[f"inputs.parameters.{name}"] = value
            if given is not None and value is None and "configMapKeyRef" not in (source or {}):
                words = f"{label}{template.label} inputs.parameters.{name} was not supplied"
                self.lack(owner, path, words, name, "parameters", parameters)
        for artifact in template.inputs("artifacts"):
            name = artifact.get("name", "")
            if given is None or name in artifacts or artifact.get("optional") or has_location(artifact):
                continue
            words = f"{label}{template.label} inputs.artifacts.{name} was not supplied"
            self.lack(owner, path, words, name, "artifacts", artifacts)
        timeout = template.data.get("timeout", "")
        if template.leaf and "{{" in timeout and given is not None:
            filled = _filled(timeout, values, self.globals)
            if filled.lstrip("+-").isdigit():
                words = (
                    f"{label}{template.name} has invalid duration format in timeout: {filled!r} has no unit"
                )
                self.note("timeout", owner, path, words, fix=f"pass {filled}s")
        return values

    def lack(
        self,
        owner: WorkflowView,
        path: Path,
        message: str,
        name: str,
        kind: str,
        passed: Iterable[str | None],
    ) -> None:
        place = "spec.arguments" if path[-1] in ("entrypoint", "onExit") else "the arguments"
        fix = f"add {name!r} to {place} ({kind}), or give the input a default"
        self.note("supply", owner, path, message, fix=fix, near=tuple(str(item) for item in passed))

    # steps and tasks

    def steps(self, template: TemplateView, scope: Scope, values: Values) -> None:
        for call in template.calls():
            scope.names.add(f"steps.{call.key}.status")
            items(call, scope, _filled(call.data.get("withParam", ""), values, self.globals))
            target = self.target(call, values)
            if "exit" in (call.data.get("hooks") or {}) or call.data.get("onExit"):
                scope.names |= result_names(
                    target, call, self.globals, scope, aggregate=False, ancestor=False
                )
            self.call_references(call, scope, f"{template.label}.steps", values)
            scope.names |= result_names(
                target, call, self.globals, scope, aggregate=call.looped, ancestor=False
            )
            self.pass_arguments(call, target)

    def dag(self, template: TemplateView, scope: Scope, values: Values) -> None:
        calls = template.calls()
        tasks = [call.data for call in calls]
        calls = [calls[at] for at in depends.order(tasks)]
        edges = depends.graph(tasks)
        by_name = {call.name: call for call in calls}
        targets: dict[str, TemplateView | None] = {}
        for call in calls:
            targets[call.name] = target = self.target(call, values)
            scope.names |= result_names(
                target, call, self.globals, scope, aggregate=call.looped, ancestor=False
            )
        goal = (template.data.get("dag") or {}).get("target", "")
        path = (*template.path, "dag", "target")
        self.refer(template, goal, path, scope, f"{template.label}.targets", values)
        for call in calls:
            if call.data.get("hooks") is not None:
                scope.names.add(f"tasks.{call.key}.status")

            def ancestors(own: Scope, name: str = call.name) -> None:
                for ancestor in depends.ancestors(name, edges):
                    if ancestor in by_name:
                        other = by_name[ancestor]
                        own.names |= result_names(
                            targets[ancestor], other, self.globals, own, aggregate=other.looped, ancestor=True
                        )

            own = scope.within(more=ancestors)
            items(call, own, _filled(call.data.get("withParam", ""), values, self.globals))
            self.call_references(call, own, call.label, values)
            self.pass_arguments(call, targets[call.name])

    def call_references(self, call: CallView, scope: Scope, label: str, values: Values) -> None:
        if "inline" in call.data:
            scope = scope.within()
            inputs = ((call.data["inline"].get("inputs") or {}).get("parameters")) or []
            scope.names.update(f"inputs.parameters.{item.get('name', '')}" for item in inputs)
        self.refer(call.caller, call.data, call.path, scope, label, values)

    def pass_arguments(self, call: CallView, target: TemplateView | None) -> None:
        if target is not None and target.type:
            given = call.data.get("arguments") or {}
            self.supply(target, given, call.caller.workflow, call.path, f"{call.label} ")

    def target(self, call: CallView, values: Values) -> TemplateView | None:
        """The template that a step or task calls, visited; notes why there is none."""
        owner, data = call.caller.workflow, call.data
        name = _filled(data.get("template", ""), values, self.globals)
        reference = data.get("templateRef")
        if "inline" in data:
            inline = TemplateView(owner, data["inline"], (*call.path, "inline"), inline=True)
            self.targets[call.path] = inline
            self.visit(inline, None)
            return inline
        if reference is not None:
            found = self.referenced(call, reference, name, values)
        elif not name:
            words = f"{call.label} names no template"
            self.note("no-template", owner, call.path, words, near=())
            return None
        else:
            found = owner.template(name)
            if found is None:
                near = tuple(item.name for item in owner.templates if item.name)
                words = f"{call.label} template name {name!r} undefined"
                self.note("template", owner, (*call.path, "template"), words, near=near)
        if found is not None:
            self.targets[call.path] = found
            self.visit(found, None)
        return found

    def referenced(
        self, call: CallView, reference: TemplateRef, name: str, values: Values
    ) -> TemplateView | None:
        owner, path = call.caller.workflow, (*call.path, "templateRef")
        if name:
            words = f"{call.label} has both template and templateRef"
            self.note("both-templates", owner, (*call.path, "template"), words)
            return None
        for key in ("name", "template"):
            if not reference.get(key):
                self.note("both-templates", owner, path, f"{call.label}: templateRef.{key} is required")
                return None
        filled = {key: _filled(reference[key], values, self.globals) for key in ("name", "template")}
        if any("{{" in text for text in filled.values()):
            return None  # decided at run time
        cluster = reference.get("clusterScope", False)
        home = self.find(filled["name"], cluster)
        if home is None:
            wanted: TemplateRef = {**reference, "name": filled["name"].replace("\0", "...")}
            self.missing_shared(owner, (*path, "name"), wanted, f"{call.label} ")
            return None
        if "\0" in filled["template"]:
            return None
        found = home.template(filled["template"])
        if found is None:
            near = tuple(item.name for item in home.templates if item.name)
            words = f"{call.label} template reference {home.name}.{filled['template']} not found"
            self.note("template", owner, (*path, "template"), words, near=near)
        return found

    # references

    def refer(
        self, template: TemplateView, data: object, path: Path, scope: Scope, label: str, values: Values
    ) -> None:
        """Look up every simple tag below ``data``."""
        for steps, text in strings(data):
            for tag in tags_in(text):
                if tag.expression:
                    if tag.source is not None:
                        where = (*path, *steps)
                        self.expressions.append(Inside(template.workflow, where, tag.source, label, scope))
                    continue
                reference = TagReference(template, (*path, *steps), tag.name, tag.text, label)
                reference.closed = tag.closed
                reference.known = self.known(tag.name, scope, values)
                reference.scope = scope
                self.references.append(reference)

    def known(self, name: str, scope: Scope, values: Values, passes: int = 2) -> bool:
        """Whether a tag resolves: values are put in place twice before Argo looks at what is left."""
        if not (scope.knows(name) or self.globals.knows(name)):
            return False
        value = values.get(name)
        if passes and value and "{{" in value:
            return all(
                inner == name or self.known(inner, scope, values, passes - 1) for inner in simple_tags(value)
            )
        return True

    def of(self, topic: str) -> Iterator[Issue]:
        """The issues of a topic."""
        return iter(self.issues.get(topic, ()))


def _added(own: list[Named] | None, theirs: list[Named] | None) -> list[Named]:
    """The own ones, and those of others that have no namesake among them."""
    names: set[str | None] = {item.get("name") for item in own or ()}
    return list(own or ()) + [item for item in theirs or () if item.get("name") not in names]


def has_location(artifact: Artifact) -> bool:
    """Whether an artifact says itself where it is: a whole location, or a key in the repository."""
    places: Mapping[str, object] = artifact
    for kind in ("s3", "gcs", "oss", "azure", "artifactory", "git", "http", "hdfs", "raw", "plugin"):
        place = places.get(kind)
        if not isinstance(place, dict):
            continue
        if kind == "raw":
            return True
        needed = {
            "git": "repo",
            "http": "url",
            "artifactory": "url",
            "azure": "blob",
            "hdfs": "path",
        }.get(kind, "key")
        if place.get(needed):
            return True
    return False


def _filled(text: str, values: Values, scope: Scope) -> str:
    """Put known values into a text; ``\\0`` where only a run knows them, the tag where nothing does."""
    if "{{" not in text:
        return text
    for tag in list(tags_in(text)):
        if tag.expression or not tag.closed:
            continue
        if tag.name in values or scope.has(tag.name):
            value = values.get(tag.name)
            text = text.replace("{{" + tag.text + "}}", "\0" if value is None else value)
    return text
