"""Files between steps: values that are artifacts, and how templates and tasks name them in Argo's words.

Beside each file that a component returns goes its digest, an output parameter ``NAME_sha256``: by it the file counts in
the key of a cache, and it goes along with the file into graphs and cached steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.literals import access, literal
from tiphys.dsl.types import Field
from tiphys.dsl.values import Expression, Input, NamedValue, Output, Value
from tiphys.errors import DefinitionError
from tiphys.step.files import DIGEST, INPUTS, NO_FILE

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, Parameter
    from tiphys.jsontypes import JsonObject

__all__ = [
    "FileInput",
    "FileOutput",
    "FileValue",
    "OptionalFile",
    "declared",
    "digest_arguments",
    "digest_key",
    "digest_parameters",
    "digests_of",
    "file_place",
    "input_artifacts",
    "output_artifacts",
    "output_value",
    "passed",
    "unplaced",
    "written_arguments",
]


class FileValue(Value):
    """A file that exists only while the workflow runs: an artifact, which no expression can look into."""

    type: Any = Path
    maybe: bool = False
    """Whether it may be absent."""

    def artifact(self) -> Artifact:
        """What an argument has besides its name."""
        return {"from": self.tag(), "optional": True} if self.maybe else {"from": self.tag()}

    def digest(self) -> Value | str:
        """By what it counts in the key of a cache; empty when nothing is known of it."""
        return ""

    def tag(self) -> str:
        return "{{" + ".".join(self.path() or ()) + "}}"

    def expr(self) -> str:
        self._needs_text()

    def describe(self) -> str:
        return ".".join(self.path() or ())

    def _needs_text(self) -> NoReturn:
        raise DefinitionError(
            "TIP105",
            f"{self.describe()} is a file, and text is needed",
            where=str(caller()),
            cause="Argo hands a file on as it is; no condition, text or list can look into it",
            fix="read it in a component (data: Path) and return what is needed as an output of its own",
        )


class FileInput(FileValue, Input):
    """An input artifact of the graph that is being written."""

    def __init__(self, field: Field, owner: object) -> None:
        Input.__init__(self, field.name, field.type, owner)
        self.maybe = field.optional

    def path(self) -> tuple[str, ...]:
        return ("inputs", "artifacts", self.name)

    def digest(self) -> Value | str:
        return Input(self.name + DIGEST, str, self.owner)


class FileOutput(FileValue, Output):
    """An output artifact of a task."""

    def __init__(self, task: NamedValue, field: Field, *, digests: bool) -> None:
        Output.__init__(self, task, field.name, field.type)
        self.maybe, self._digests = field.optional, digests

    def path(self) -> tuple[str, ...]:
        return (self.task.scope, self.task.task_name, "outputs", "artifacts", self.name)

    def digest(self) -> Value | str:
        return Output(self.task, self.name + DIGEST) if self._digests else ""

    def optional(self, default: str = "") -> Expression:
        """This file, or none when its task was skipped or omitted: for an input ``data: Path | None``."""
        if default:
            raise DefinitionError(
                "TIP105",
                f"{self.describe()} is a file, and has no default",
                where=str(caller()),
                fix="write .optional(); the input, data: Path | None, is None then",
            )
        return OptionalFile(self)


class OptionalFile(FileValue, Expression):
    """An output artifact of a task that may not have run."""

    maybe = True

    def __init__(self, output: FileOutput) -> None:
        Expression.__init__(self, output.tag, (output,), output.type, optional=True)
        self._output = output

    def path(self) -> tuple[str, ...]:
        return self._output.path()

    def digest(self) -> Value | str:
        found = self._output.digest()
        if isinstance(found, str):
            return found
        spelt = access(found.path() or ())
        return Expression(lambda: f"({spelt} ?? {literal(NO_FILE)})", (found,), str, optional=True)


def output_value(task: NamedValue, field: Field, *, digests: bool, looped: bool, site: Site) -> FileOutput:
    """The file that a task returns. Raises DefinitionError (TIP118) when it returns one for each item of a loop."""
    if looped:
        raise DefinitionError(
            "TIP118",
            f"the output {field.python!r} of {task.task_name} is a file for each item of a loop",
            where=str(site),
            cause="Argo makes a list of texts of a loop's outputs, and none of artifacts",
            fix="return a Reference to a folder of a volume (list[Reference]), "
            "or put both steps in a @dag function and loop over that",
        )
    return FileOutput(task, field, digests=digests)


def file_place(field: Field) -> str:
    """Where a step finds an input file."""
    return f"{INPUTS}/{field.name}"


def declared(parameters: Sequence[object], artifacts: Sequence[object]) -> JsonObject:
    """Inputs or outputs of a template, without what there is none of."""
    found: dict[str, object] = {}
    if parameters:
        found["parameters"] = list(parameters)
    if artifacts:
        found["artifacts"] = list(artifacts)
    return cast("JsonObject", found)


def unplaced(artifact: Mapping[str, object]) -> Artifact:
    """An artifact of a template without a file system: that it is there, or may be."""
    found: Artifact = {"name": str(artifact["name"])}
    if artifact.get("optional"):
        found["optional"] = True
    return found


def passed(artifact: Mapping[str, object], place: str) -> Artifact:
    """The same as an argument or an output: it comes from ``place`` (``inputs``, ``tasks.a.outputs``)."""
    return {**unplaced(artifact), "from": f"{{{{{place}.artifacts.{artifact['name']}}}}}"}


def input_artifacts(fields: Iterable[Field], *, placed: bool = True) -> list[Artifact]:
    """``inputs.artifacts`` of a template; ``placed``: it has a file system."""
    artifacts: list[Artifact] = []
    for field in fields:
        if field.is_file:
            artifact: Artifact = {"name": field.name}
            if placed:
                artifact["path"] = file_place(field)
            if field.optional:
                artifact["optional"] = True
            artifacts.append(artifact)
    return artifacts


def output_artifacts(
    fields: Iterable[Field],
    paths: Mapping[str, str],
    exports: Mapping[str, str],
    stores: Mapping[str, Artifact],
) -> list[Artifact]:
    """``outputs.artifacts``: where the step leaves each file (``paths``), its name in the whole workflow (``exports``),
    and its place in an object store."""
    artifacts: list[Artifact] = []
    for field in fields:
        if field.is_file:
            artifact: Artifact = {"name": field.name, "path": paths[field.name]}
            if field.optional:
                artifact["optional"] = True
            if field.name in exports:
                artifact["globalName"] = exports[field.name]
            artifacts.append(cast("Artifact", {**artifact, **stores.get(field.name, {})}))
    return artifacts


def digests_of(fields: Iterable[Field]) -> list[str]:
    """The names of the parameters that go beside the files."""
    return [f.name + DIGEST for f in fields if f.is_file]


def digest_parameters(fields: Iterable[Field]) -> list[Parameter]:
    """They as inputs."""
    return [{"name": name, "default": ""} for name in digests_of(fields)]


def digest_arguments(fields: Iterable[Field], arguments: Mapping[str, object]) -> dict[str, Value | str]:
    """The digests of what is given, for :func:`digest_parameters`."""
    found: dict[str, Value | str] = {}
    for field in fields:
        if field.is_file:
            value = arguments.get(field.name)
            found[field.name + DIGEST] = (
                value.digest()
                if isinstance(value, FileValue)
                else NO_FILE
                if field.optional and value is None
                else ""
            )
    return found


def digest_key(field: Field) -> str:
    """How a file counts in a key: by its digest; one of which nothing is known is this run's own."""
    text = Input(field.name + DIGEST).expr()
    return f"({text} != '' ? {text} : workflow.uid)"


def written_arguments(
    fields: Sequence[Field], arguments: Mapping[str, Value | str | None], text: Any
) -> Arguments:
    """``arguments`` of a task; ``text`` spells those that are no files."""
    if not arguments:
        return {}
    files = [f.name for f in fields if f.is_file]
    artifacts: list[Artifact] = []
    parameters: list[Parameter] = []
    for name, value in arguments.items():
        if name not in files:
            parameters.append({"name": name, "value": text(value)})
        elif isinstance(value, FileValue):
            artifacts.append(cast("Artifact", {"name": name, **value.artifact()}))
        elif value is not None:
            artifacts.append({"name": name, "from": str(value)})
    return cast("Arguments", declared(parameters, artifacts))
