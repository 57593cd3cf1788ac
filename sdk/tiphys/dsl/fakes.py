"""Fakes for tests of pipelines: the same workflow, with chosen steps replaced by ones that only answer.

    workflow = with_fakes(pipeline, {"train": Fake(model="pvc://tiphys/models/x"), "evaluate": judge})
    assert tiphys.run(workflow).succeeded

What runs is still the compiled workflow in the real engine: order, conditions, loops, retries and exit
handlers are the pipeline's own. Only the bodies of the named templates change, so a test needs no data, no
training and no cluster.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tiphys.compiler.compile import documents
from tiphys.compiler.line import Site, caller
from tiphys.dsl.cached_retry import joined, split
from tiphys.dsl.components import OUTPUTS
from tiphys.dsl.guarded import unguarded
from tiphys.dsl.pod import STEP_IMAGE
from tiphys.dsl.prepared import unprepared
from tiphys.dsl.reporting import own_outputs
from tiphys.dsl.source.embed import protected, script_source
from tiphys.dsl.types import Field, kebab, may_be_long, signature_of
from tiphys.dsl.variants import VARIANT_OF
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.reference import VOLUMES_ENV, content_digest
from tiphys.step import encode
from tiphys.step.files import DIGEST, NO_FILE, write_table
from tiphys.step.kinds import file_library

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs

__all__ = ["Fake", "with_fakes"]

_LARGEST = 96 * 1024  # bytes of files: with Base64 less than the 128 KiB of an environment variable
_DROPPED = (
    "container",
    "script",
    "resource",
    "containerSet",
    "http",
    "data",
    "suspend",
    "plugin",
    "memoize",
    "timeout",
)


class Fake:
    """A step that gives fixed outputs, or fails.

    Keyword arguments are outputs (``batch_size=3`` for ``batch-size``). An output that is a file is given by its
    content: text, bytes, a Path of this machine (a file or a folder), a table or an array; all of them travel in one
    script, so they are small. With ``exit_code`` the step fails after it wrote them; with ``attempts`` only that many
    attempts fail, so a retry succeeds.
    """

    def __init__(self, *, exit_code: int = 0, attempts: int = 0, **outputs: Any) -> None:
        self.exit_code = exit_code
        self.attempts = attempts
        self.values = {kebab(name): value for name, value in outputs.items()}
        self.outputs = {
            name: encode(value, name) for name, value in self.values.items() if not _only_file(value)
        }

    def source(self, files: Collection[str] = ()) -> str:
        """The script that stands for the step; ``files`` are those of its outputs that are artifacts."""
        code = str(self.exit_code)
        if self.exit_code and self.attempts:
            code = f'{code} if int(os.environ["TIPHYS_RETRIES"] or 0) < {self.attempts} else 0'
        texts = {name: text for name, text in self.outputs.items() if name not in files}
        contents = {name: file_contents(self.values[name]) for name in self.values if name in files}
        texts |= {name + DIGEST: digest for name, (_, digest) in contents.items()}
        lines = [
            "import os\n",
            f"outputs = {json.dumps(texts, indent=4, sort_keys=True)}",
            f'os.makedirs("{OUTPUTS}", exist_ok=True)',
            "for name, value in outputs.items():",
            f'    with open(os.path.join("{OUTPUTS}", name), "w", encoding="utf-8") as file:',
            "        file.write(value)",
        ]
        if contents:
            pieces = {
                f"{name}/{below}".rstrip("/"): base64.b64encode(data).decode()
                for name, (found, _) in contents.items()
                for below, data in found.items()
            }
            lines = [
                "import base64",
                *lines,
                f"files = {json.dumps(pieces, indent=4, sort_keys=True)}",
                "for name, value in files.items():",
                f'    path = os.path.join("{OUTPUTS}", name)',
                "    os.makedirs(os.path.dirname(path), exist_ok=True)",
                '    with open(path, "wb") as file:',
                "        file.write(base64.b64decode(value))",
            ]
        return "\n".join([*lines, f"raise SystemExit({code})\n"])


def _only_file(value: object) -> bool:
    """Whether it can be the content of a file and nothing else."""
    return isinstance(value, (bytes, Path)) or bool(file_library(type(value)))


def file_contents(value: Any) -> tuple[dict[str, bytes], str]:
    """The bytes of a file, or of all files below a folder by their names, and the digest. None is no file."""
    if value is None:
        return {}, NO_FILE
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "file")
        if isinstance(value, Path):
            place = value
        elif library := file_library(type(value)):
            write_table(value, str(place), library)
        else:
            place.write_bytes(value if isinstance(value, bytes) else str(value).encode())
        found = [each for each in place.rglob("*") if each.is_file()] if place.is_dir() else [place]
        contents = {
            "" if each == place else each.relative_to(place).as_posix(): each.read_bytes() for each in found
        }
        return contents, content_digest(str(place))


def with_fakes(x: Any, fakes: Mapping[str, Fake | Callable[..., Any]]) -> list[dict[str, Any]]:
    """The documents of ``x`` (a Pipeline, a Hera workflow, a mapping or a path) with templates replaced.

    ``fakes`` maps names of templates to a :class:`Fake`, or to a typed function whose parameters are some of
    the template's inputs; its source is embedded. That of a component stands for its calls with other options,
    too. Faked steps are not cached. Raises DefinitionError: TIP123 for a template, an output or an input that does
    not exist, or an output that is missing.
    """
    site = caller()
    found = documents(x)
    workflow = found[-1]
    spec = dict(workflow["spec"])
    plain, guards = unguarded(spec.get("templates") or [])
    works, jobs = unprepared(joined(plain))
    templates = {t["name"]: dict(t) for t in works}
    for name in fakes:
        if name not in templates and name not in map(_root, templates.values()):
            raise _refused(f"there is no template {name!r}.{did_you_mean(name, templates)}", templates, site)
    chosen = {
        name: fakes[key] for name, each in templates.items() for key in (_root(each), name) if key in fakes
    }
    spec["templates"] = [
        part
        for name, template in templates.items()
        for part in (
            [_faked(template, chosen[name], site)]
            if name in chosen
            else [*(guards.get(name) or split({**jobs.get(name, [template])[0]})), *jobs.get(name, [])[1:]]
        )
    ]
    return [*found[:-1], {**workflow, "spec": spec}]


def _root(template: Mapping[str, Any]) -> str:
    """The component whose call it is, if that has options of its own."""
    return str((template.get("annotations") or {}).get(VARIANT_OF, ""))


def _refused(message: str, known: Any, site: Site) -> DefinitionError:
    return DefinitionError("TIP123", message, where=str(site), fix=f"names are: {', '.join(known) or 'none'}")


def _faked(template: Mapping[str, Any], fake: Fake | Callable[..., Any], site: Site) -> dict[str, Any]:
    """The template with another body and the same inputs and outputs."""
    name = template["name"]
    if "dag" in template or "steps" in template:
        raise _refused(f"the template {name!r} is a graph: fake the steps in it", [], site)
    artifacts = (template.get("outputs") or {}).get("artifacts") or []
    files = [each["name"] for each in artifacts]
    digests = {each + DIGEST for each in files}
    parameters = own_outputs(cast("Outputs", template.get("outputs") or {}))
    declared = [p["name"] for p in parameters if p["name"] not in digests] + files
    env: list[dict[str, str]] = [{"name": "TIPHYS_OUTPUTS", "value": OUTPUTS}]
    mounts: list[dict[str, Any]] = []
    if isinstance(fake, Fake):
        given = list(fake.values)
        _check_contents(name, fake, files, declared, site)
        source = protected(fake.source(files))
        if fake.attempts:
            env.append(
                {"name": "TIPHYS_RETRIES", "value": "{{retries}}" if "retryStrategy" in template else "0"}
            )
    else:
        code = fake.__code__
        signature = signature_of(fake, Site(code.co_filename, code.co_firstlineno), files=True)
        places = {
            each["name"]: each["path"] for each in (template.get("inputs") or {}).get("artifacts") or []
        }
        inputs = [p["name"] for p in (template.get("inputs") or {}).get("parameters") or []] + list(places)
        for field in signature.inputs:
            if field.name not in inputs:
                near = did_you_mean(field.name, inputs)
                raise _refused(
                    f"the fake of {name!r} takes {field.python!r}, no input of it.{near}", inputs, site
                )
            _check_kind(name, field, places, site)
            variable = field.variable
            value = places.get(field.name) or "{{inputs.parameters." + field.name + "}}"
            env.append({"name": variable, "value": value})
        own = template.get("script") or template.get("container") or {}
        volumes = [each for each in own.get("env") or [] if each.get("name") == VOLUMES_ENV]
        if volumes:  # what it takes may lie in a file there
            env += volumes
            mounts = own.get("volumeMounts") or []
        given = [f.name for f in signature.outputs]
        if given == ["result"] and len(declared) == 1:
            given = declared
        for field, output in zip(signature.outputs, given, strict=True):
            if output in declared:
                _check_kind(name, dataclasses.replace(field, name=output), files, site)
        source = script_source(
            fake,
            signature,
            site,
            rename=dict(zip([f.name for f in signature.outputs], given, strict=True)),
            files={f.name for f in signature.inputs if may_be_long(f)} if mounts else (),
        )
    for output in given:
        if output not in declared:
            near = did_you_mean(output, declared)
            raise _refused(f"the fake of {name!r} gives {output!r}, no output of it.{near}", declared, site)
    failing = isinstance(fake, Fake) and fake.exit_code and not fake.attempts
    missing = [o for o in declared if o not in given]
    if missing and not failing:
        raise _refused(f"the fake of {name!r} does not give {', '.join(map(repr, missing))}", declared, site)
    body = {k: v for k, v in template.items() if k not in _DROPPED}
    body["script"] = {"image": STEP_IMAGE, "command": ["python"], "source": source, "env": env}
    if mounts:
        body["script"]["volumeMounts"] = mounts
    if parameters or artifacts:
        body["outputs"] = {**template["outputs"]}
    if parameters:
        body["outputs"]["parameters"] = [
            {**p, "valueFrom": {"path": f"{OUTPUTS}/{p['name']}", **_default(p)}} for p in parameters
        ]
    if artifacts:
        body["outputs"]["artifacts"] = [{**each, "path": f"{OUTPUTS}/{each['name']}"} for each in artifacts]
    return body


def _check_contents(
    name: str, fake: Fake, files: Collection[str], declared: Collection[str], site: Site
) -> None:
    """Refuse bytes where text is declared, a file that is not there, and more than fits into a script."""
    size = 0
    for output, value in fake.values.items():
        if output in declared and output not in files and output not in fake.outputs:
            raise _refused(f"the fake of {name!r} gives a file for {output!r}, which is text", declared, site)
        if output in files:
            if isinstance(value, Path) and not value.exists():
                raise _refused(f"the fake of {name!r} gives {value}, which there is not", files, site)
            size += sum(map(len, file_contents(value)[0].values()))
    if size > _LARGEST:
        raise DefinitionError(
            "TIP123",
            f"the fake of {name!r} gives files of {size} bytes",
            where=str(site),
            cause=f"they travel in its script, which holds {_LARGEST}",
            fix="give a function that writes them",
        )


def _check_kind(name: str, field: Field, files: Collection[str], site: Site) -> None:
    """Refuse a function that takes or returns a file where the step has text, or the other way round."""
    if field.is_file != (field.name in files):
        raise _refused(
            f"the fake of {name!r} has {field.python!r} as {'a file' if field.is_file else 'text'}",
            files,
            site,
        )


def _default(parameter: Mapping[str, Any]) -> dict[str, Any]:
    default = (parameter.get("valueFrom") or {}).get("default")
    return {} if default is None else {"default": default}
