"""Text with Argo's tags as Python values: parameters, outputs, items, what a run knows of itself; else ``raw(…)``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.importing.python_text import value
from tiphys.importing.told import CannotSay

__all__ = ["Said", "TagScope", "condition_of"]

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORKFLOW = {
    "workflow.name": "workflow_name",
    "workflow.uid": "workflow_uid",
    "workflow.namespace": "workflow_namespace",
    "workflow.parameters": "workflow_parameters",
    "workflow.creationTimestamp.RFC3339": "workflow_created",
    "workflow.status": "workflow_status",
    "workflow.duration": "workflow_duration",
}
_NOT_TEXT = {"workflow_parameters", "workflow_created", "workflow_duration"}
"""What an expression has as something else than the text of the tag."""
_METHODS = {"outputs", "named", "using", "after", "when", "on_exit"}
_COMPARED = re.compile(
    r"\s*(?:'(?P<lq>[^'\"\\]*)'|\"(?P<ld>[^'\"\\]*)\"|(?P<left>\{\{[^}]*\}\}|[A-Za-z][\w-]*))"
    r"\s*(?P<operator>==|!=)\s*"
    r"(?:'(?P<rq>[^'\"\\]*)'|\"(?P<rd>[^'\"\\]*)\"|(?P<right>\{\{[^}]*\}\}|[A-Za-z][\w-]*))\s*\Z"
)


@dataclass(slots=True)
class Said:
    """A value in Python, and what it is made of."""

    python: str
    tasks: set[str] = field(default_factory=set)
    """Tasks whose outputs it is, so that who takes it waits for them."""
    words: set[str] = field(default_factory=set)
    """PythonNames of tiphys that it takes."""
    item: bool = False
    """Whether it is an item of the loop, as a value."""


@dataclass(slots=True)
class TagScope:
    """The names that Python has for what the tags of one graph name."""

    tasks: dict[str, str] = field(default_factory=dict)
    """Variables of tasks."""
    outputs: dict[str, set[str]] = field(default_factory=dict)
    """Outputs of tasks, ``result`` of what prints as ``*result``."""
    lists: set[str] = field(default_factory=set)
    """Tasks in loops over values: their outputs are spelled otherwise as arguments."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Variables of workflow parameters."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Variables of the template's inputs."""
    item: str = ""
    """The variable of the loop's item."""

    def text(self, text: str) -> Said:
        """The value of a field. Raises CannotSay for an item inside of other text, which no loop would see."""
        tags = _TAG.findall(text)
        if not tags:
            return Said(value(text))
        if len(tags) == 1 and text == "{{" + tags[0] + "}}":
            found = self._one(tags[0].strip())
            if found is not None:
                return found
        composed = self._composed(text, tags)
        return composed if composed is not None else Said(f"raw({value(text)})", words={"raw"})

    def _composed(self, text: str, tags: list[str]) -> Said | None:
        """``compose("{x} and {y}", x=…)`` where all tags are values, and no other braces stand in the text."""
        around = _TAG.sub("", text)
        if "{" in around or "}" in around or text == "{{" + tags[0] + "}}":
            return None
        whole = Said("", words={"compose"})
        names: dict[str, str] = {}
        for tag in dict.fromkeys(each.strip() for each in tags):
            found = self._one(tag)
            if found is None or found.item or found.words & _NOT_TEXT:
                return None
            name = re.sub(r"\W+", "_", tag.rpartition(".")[2]).strip("_").lower() or "value"
            name = f"v_{name}" if name[0].isdigit() else name
            while name in names:
                name += "_"
            names[name] = tag
            whole.python += f", {name}={found.python}"
            whole.tasks |= found.tasks
            whole.words |= found.words
        places = {tag: name for name, tag in names.items()}
        pattern = _TAG.sub(lambda m: "{" + places[m[1].strip()] + "}", text)
        whole.python = f"compose({value(pattern)}{whole.python})"
        return whole

    def _one(self, tag: str) -> Said | None:
        """The value of one simple tag; None where no name of Python stands for it."""
        if tag in _WORKFLOW:
            return Said(_WORKFLOW[tag], words={_WORKFLOW[tag]})
        if tag == "item" or re.fullmatch(r"item\.[\w-]+", tag):
            if not self.item:
                return None
            _, _, key = tag.partition(".")
            return Said(f"{self.item}[{value(key)}]" if key else self.item, item=True)
        for prefix, names in (("workflow.parameters.", self.parameters), ("inputs.parameters.", self.inputs)):
            if tag.startswith(prefix):
                name = names.get(tag[len(prefix) :])
                return Said(name) if name else None
        match = re.fullmatch(r"tasks\.([\w-]+)\.outputs\.(result|parameters\.([\w-]+))", tag)
        if match is None or match[1] in self.lists:
            return None
        key = match[3] or "*result"
        variable = self.tasks.get(match[1])
        if variable is None or key not in self.outputs.get(match[1], ()):
            return None
        name = (match[3] or "result").replace("-", "_")
        simple = name.isidentifier() and name not in _METHODS and not name.startswith("_")
        python = f"{variable}.{name}" if simple else f"{variable}.outputs[{value(match[3] or 'result')}]"
        return Said(python, {match[1]})


def condition_of(text: str) -> list[tuple[str, str, str]] | None:
    """``{{x}} == heads && …`` as (tag, operator, text); None for what is more than texts that are equal or not.

    Numbers are none: ``5`` and ``5.0`` are equal to Argo, and as texts they are not.
    """
    found = []
    for part in text.split("&&"):
        match = _COMPARED.match(part)
        if match is None:
            return None
        sides = []
        for word, single, double in (("left", "lq", "ld"), ("right", "rq", "rd")):
            said = match[word] if match[word] is not None else match[single]
            sides.append(match[double] if said is None else said)
        if sides[0].startswith("{{") == sides[1].startswith("{{"):
            return None
        tag, other = sides if sides[0].startswith("{{") else reversed(sides)
        if other in ("true", "false", "") or _number(other) or tag.startswith("{{="):
            return None
        found.append((tag[2:-2].strip(), match["operator"], other))
    return found


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_item(said: Said, text: str, name: str) -> None:
    """Raise CannotSay where a loop's item stands in text that hides it."""
    if said.python.startswith("raw(") and re.search(r"\{\{=?[^}]*\bitem\b", text) and not said.item:
        raise CannotSay(f"the loop of {name!r} puts its item into other text")
