"""Fakes for tests of pipelines: the same workflow, with chosen steps replaced by ones that only answer.

    workflow = with_fakes(pipeline, {"train": Fake(model="pvc://tiphys/models/x"), "evaluate": judge})
    assert tiphys.run(workflow).succeeded

What runs is still the compiled workflow in the real engine: order, conditions, loops, retries and exit
handlers are the pipeline's own. Only the bodies of the named templates change, so a test needs no data, no
training and no cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from tiphys.compiler import documents
from tiphys.compiler.line import Site, caller
from tiphys.dsl.cached_retry import joined, split
from tiphys.dsl.components import OUTPUTS
from tiphys.dsl.guarded import unguarded
from tiphys.dsl.pod import STEP_IMAGE
from tiphys.dsl.prepared import unprepared
from tiphys.dsl.reporting import own_outputs
from tiphys.dsl.source.embed import protected, script_source
from tiphys.dsl.types import kebab, may_be_long, signature_of
from tiphys.dsl.variants import VARIANT_OF
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.reference import VOLUMES_ENV
from tiphys.step import encode

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs

__all__ = ["Fake", "with_fakes"]

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

    Keyword arguments are outputs (``batch_size=3`` for ``batch-size``). With ``exit_code`` the step fails
    after it wrote them; with ``attempts`` only that many attempts fail, so a retry succeeds.
    """

    def __init__(self, *, exit_code: int = 0, attempts: int = 0, **outputs: Any) -> None:
        self.exit_code = exit_code
        self.attempts = attempts
        self.outputs = {kebab(name): encode(value, name) for name, value in outputs.items()}

    def source(self) -> str:
        """The script that stands for the step."""
        code = str(self.exit_code)
        if self.exit_code and self.attempts:
            code = f'{code} if int(os.environ["TIPHYS_RETRIES"] or 0) < {self.attempts} else 0'
        return (
            "import os\n\n"
            f"outputs = {json.dumps(self.outputs, indent=4, sort_keys=True)}\n"
            f'os.makedirs("{OUTPUTS}", exist_ok=True)\n'
            "for name, value in outputs.items():\n"
            f'    with open(os.path.join("{OUTPUTS}", name), "w", encoding="utf-8") as file:\n'
            "        file.write(value)\n"
            f"raise SystemExit({code})\n"
        )


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
    parameters = own_outputs(cast("Outputs", template.get("outputs") or {}))
    declared = [p["name"] for p in parameters]
    env: list[dict[str, str]] = [{"name": "TIPHYS_OUTPUTS", "value": OUTPUTS}]
    mounts: list[dict[str, Any]] = []
    if isinstance(fake, Fake):
        given = list(fake.outputs)
        source = protected(fake.source())
        if fake.attempts:
            env.append(
                {"name": "TIPHYS_RETRIES", "value": "{{retries}}" if "retryStrategy" in template else "0"}
            )
    else:
        code = fake.__code__
        signature = signature_of(fake, Site(code.co_filename, code.co_firstlineno))
        inputs = [p["name"] for p in (template.get("inputs") or {}).get("parameters") or []]
        for field in signature.inputs:
            if field.name not in inputs:
                near = did_you_mean(field.name, inputs)
                raise _refused(
                    f"the fake of {name!r} takes {field.python!r}, no input of it.{near}", inputs, site
                )
            variable = "TIPHYS_INPUT_" + field.name.upper().replace("-", "_")
            env.append({"name": variable, "value": "{{inputs.parameters." + field.name + "}}"})
        own = template.get("script") or template.get("container") or {}
        volumes = [each for each in own.get("env") or [] if each.get("name") == VOLUMES_ENV]
        if volumes:  # what it takes may lie in a file there
            env += volumes
            mounts = own.get("volumeMounts") or []
        given = [f.name for f in signature.outputs]
        if given == ["result"] and len(declared) == 1:
            given = declared
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
    if parameters:
        body["outputs"] = {
            **template["outputs"],
            "parameters": [
                {**p, "valueFrom": {"path": f"{OUTPUTS}/{p['name']}", **_default(p)}} for p in parameters
            ],
        }
    return body


def _default(parameter: Mapping[str, Any]) -> dict[str, Any]:
    default = (parameter.get("valueFrom") or {}).get("default")
    return {} if default is None else {"default": default}
