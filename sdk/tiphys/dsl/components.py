"""A component: a typed Python function as a step that runs in a container."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

from tiphys.argo.cache_mode import KEY_ENV
from tiphys.compiler.line import Site, caller
from tiphys.compiler.project import FLAG
from tiphys.dsl.cache import Cache, content_of, environment_parts, in_use, key_expression
from tiphys.dsl.component_options import SMALL, ComponentOptions, changed
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.files import (
    declared,
    digest_parameters,
    digests_of,
    file_place,
    input_artifacts,
    output_artifacts,
)
from tiphys.dsl.guarded import GENERATED, GENERATION, guarded
from tiphys.dsl.habits import of_object
from tiphys.dsl.key_parts import depends_made, depends_parts, key_parts, memoize
from tiphys.dsl.literals import literal
from tiphys.dsl.locks import Lock
from tiphys.dsl.names import check_options
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.pod import Defaults
from tiphys.dsl.pod_settings import PodSettings
from tiphys.dsl.reporting import report_env, reports, summary_output
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.secrets import Keyed, check_cached
from tiphys.dsl.source.closure import check_names, function_node
from tiphys.dsl.source.digest import depended, step_code
from tiphys.dsl.source.embed import script_source
from tiphys.dsl.source.module import module_of
from tiphys.dsl.sources import FileSource, by_place, counted, refuse_outside, stored
from tiphys.dsl.step_frame import begun, finish
from tiphys.dsl.template import Argument, StepTemplate, input_parameters
from tiphys.dsl.types import Field, FunctionSignature, kebab, may_be_long, signature_of
from tiphys.dsl.values import Input
from tiphys.dsl.variants import VARIANT_OF, variant_name
from tiphys.errors import DefinitionError
from tiphys.large import ENV as LARGE_ENV

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.argo.types import Template

__all__ = ["OUTPUTS", "Component", "component", "input_env"]

OUTPUTS = "/tmp/tiphys/outputs"
"""Where a step writes its outputs."""


def input_env(fields: Sequence[Field]) -> list[dict[str, str]]:
    """Inputs as environment: ``TIPHYS_INPUT_<NAME>``."""
    return [
        {"name": f.variable, "value": file_place(f) if f.is_file else Input(f.name).tag()} for f in fields
    ]


class Component(CallableTemplate):
    """A function as a template. Make one with :func:`component`.

    Called inside a pipeline it makes a task; called anywhere else it simply runs the function.
    """

    option_names = frozenset(f.name for f in dataclasses.fields(ComponentOptions))

    def __init__(self, function: Callable[..., Any], options: ComponentOptions) -> None:
        self.function = function
        self.options = options
        self._root: Component | None = None
        self._variants: dict[str, Component] = {}
        if isinstance(function, StepTemplate) or hasattr(function, "wrapped_function"):
            raise DefinitionError(
                "TIP110",
                f"{getattr(function, '__name__', function)!s} is a template already",
                where=str(caller()),
                cause="it was made by @component or by Hera's @script",
                fix="decorate the plain function, once; component.using(…) changes the options of a component",
            )
        code = getattr(function, "__code__", None)
        foreign = of_object(function)
        if code is None or foreign:
            raise DefinitionError(
                "TIP110",
                f"{function!r} is not a plain Python function",
                where=str(caller()),
                cause="its signature and source are read",
                fix=foreign or "wrap it in a def",
            )
        site = Site(code.co_filename, code.co_firstlineno)
        self.signature: FunctionSignature = signature_of(function, site, files=True)
        super().__init__(
            options.name or kebab(function.__name__),
            self.signature.inputs,
            self.signature.outputs,
            locks=options.locks,
            site=site,
        )
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function
        module = module_of(function.__module__, code.co_filename, site)
        check_names(module, function_node(module, function, site), site)
        if options.cache is not None:
            options.cache.conditions.check(self.inputs, self.outputs, self.name)
        self.stored = stored(options.stores, self.outputs, self.inputs, self.name)
        names = [f.name for f in self.outputs]
        for output, _ in options.exports:
            if output not in names:
                raise DefinitionError(
                    "TIP106",
                    f"{self.name} exports {output!r}, which is not an output",
                    where=str(site),
                    fix=f"outputs are: {', '.join(names) or 'none'}",
                )

    def using(self, **changes: Any) -> Component:
        """A copy with other options, for example ``ingest.using(image="my/step:2", cache=None)``."""
        check_options(changes, self.option_names, "a component", caller())
        return Component(self.function, changed(self.options, changes))

    @property
    def called(self) -> str:
        return self.name if self._root is None else self._root.name

    def variant(self, changes: Mapping[str, object], site: Site) -> Component:
        """The component with other options for one call; equal ones are one. Raises as :meth:`using`."""
        root = self._root or self
        if "name" in changes:
            raise DefinitionError(
                "TIP103",
                f"a call of {self.called} has no option 'name'",
                where=str(site),
                fix='name the task: train(…).named("first")',
            )
        other = self.using(**changes)
        name = variant_name(root.name, root.options, other.options)
        if name == root.name:
            return root
        if name not in root._variants:
            made = other.using(name=name)
            made._root = root
            root._variants[name] = made
        return root._variants[name]

    def outside(self, args: tuple[Any, ...], arguments: dict[str, Any], site: Site) -> Any:
        refuse_outside(self.name, (*args, *arguments.values()), site)
        return self.function(*args, **arguments)

    def embedded(self, defaults: Defaults) -> bool:
        """Whether the function's source travels in the workflow (else the image has its module)."""
        if self.options.embed is not None:
            return self.options.embed
        return (
            self.function.__module__ == "__main__"
            or bool(self.function.__globals__.get(FLAG))
            or (bool(defaults.home) and Path(defaults.home) == Path(self.site.file))
            or "<locals>" in self.function.__qualname__
        )

    def extra_arguments(self, arguments: Mapping[str, Argument], defaults: Defaults) -> dict[str, Argument]:
        """With a cache the digests of files; what could never be found again is refused (TIP128)."""
        cache = self.options.cache
        if cache is None:
            return {}
        cache.check_arguments(self.inputs, arguments, self.name)
        return {**by_place(self.inputs, arguments, self.name, in_use(cache), self.options.depends_on)}

    digests = True
    reads_files = True

    @property
    def long_outputs(self) -> tuple[str, ...]:
        cache = in_use(self.options.cache)
        if cache is None:
            return ()
        # the recorder looks at what is judged, and the workflow shows what it exports
        text = {name for name, _ in self.options.exports} | cache.conditions.bars
        return tuple(f.name for f in self.outputs if may_be_long(f) and not {f.name, f.python} & text)

    def _long(self, defaults: Defaults) -> list[str]:
        """Those of them that nothing in this pipeline needs as text."""
        return [name for name in self.long_outputs if (self.name, name) in defaults.large.outputs]

    def body(self, defaults: Defaults) -> dict[str, Any]:
        cache = in_use(self.options.cache)
        return self._body(defaults, None if cache is None else self._key(cache, defaults))

    def _body(self, defaults: Defaults, keyed: _Key | None) -> dict[str, Any]:
        options = self.options
        image = options.image or defaults.image
        template: dict[str, Any] = {**begun(self.name, options, (*self.inputs, *self.outputs))}
        if self._root is not None:
            template.setdefault("annotations", {})[VARIANT_OF] = self.called
        if self.inputs:
            digests = digest_parameters(
                counted(self.inputs, self.name, None if keyed is None else keyed.cache)
            )
            parameters = [*input_parameters(self.inputs, self.site), *digests]
            template["inputs"] = declared(parameters, input_artifacts(self.inputs))
        env = [
            *input_env(self.inputs),
            {"name": "TIPHYS_OUTPUTS", "value": OUTPUTS},
            *options.equipment.mounted(defaults).volumes_env(),
            {"name": "TIPHYS_WORKFLOW", "value": "{{workflow.name}}"},
        ]
        mutexes: list[str] = []
        if keyed is not None:
            cache, key = keyed.cache, keyed.expression
            if cache.conditions:
                key += " + '-' + " + Input(GENERATION).expr()
                template.setdefault("inputs", {}).setdefault("parameters", []).append({"name": GENERATION})
            key = "{{=" + key + "}}"
            env.append({"name": KEY_ENV, "value": key})
            if long := self._long(defaults):
                said = {"claim": defaults.volumes[0].claim, "outputs": long}
                env.append({"name": LARGE_ENV, "value": json.dumps(said, separators=(",", ":"))})
            template["memoize"] = memoize(key, cache, self.called)
            template.setdefault("annotations", {}).update(keyed.parts)
            if cache.single_flight:
                mutexes.append(key)
        outputs: list[dict[str, Any]] = []
        if reports(self.function):
            summary, told = summary_output(OUTPUTS)
            env += [*report_env(defaults, "{{pod.name}}"), summary]
            outputs.append(told)
        env += [{"name": name, "value": value} for name, value in options.env]
        container: dict[str, Any] = {"image": image}
        if self.embedded(defaults):
            container["command"] = ["python"]
            container["source"] = script_source(
                self.function,
                self.signature,
                self.site,
                files={name for template, name in defaults.large.inputs if template == self.name},
                shortens=keyed is not None and bool(self._long(defaults)),
            )
        else:
            container["command"] = ["python", "-m", "tiphys.step", self._reference()]
        container["env"] = env
        finish(
            cast("Template", template),
            "script" if "source" in container else "container",
            cast("ContainerSpec", container),
            options,
            defaults,
            locks=self.locks,
            mutexes=mutexes,
            site=self.site,
        )
        exports = dict(options.exports)
        own = [
            {
                "name": f.name,
                "valueFrom": {"path": f"{OUTPUTS}/{f.name}"},
                **({"globalName": exports[f.name]} if f.name in exports else {}),
            }
            for f in self.outputs
            if not f.is_file
        ]
        own += [{"name": n, "valueFrom": {"path": f"{OUTPUTS}/{n}"}} for n in digests_of(self.outputs)]
        paths = {f.name: f"{OUTPUTS}/{f.name}" for f in self.outputs}
        files = output_artifacts(self.outputs, paths, exports, self.stored)
        if made := declared([*own, *outputs], files):
            template["outputs"] = made
        return template

    @property
    def conditional(self) -> bool:
        cache = in_use(self.options.cache)
        return cache is not None and bool(cache.conditions)

    def parts(self, defaults: Defaults) -> list[dict[str, Any]]:
        cache = in_use(self.options.cache)
        if cache is None or not cache.conditions:
            return super().parts(defaults)
        keyed = self._key(cache, defaults)
        key = "{{=" + keyed.expression + "}}"
        parts = guarded(
            cast("Template", self._body(defaults, keyed)),
            cache.conditions,
            self.inputs,
            self.outputs,
            key=key,
            mutex=key if cache.single_flight else "",
            arguments={GENERATION: GENERATED},
            defaults=defaults,
            site=cache.site,
        )
        return cast("list[dict[str, Any]]", parts)

    def _key(self, cache: Cache, defaults: Defaults) -> _Key:
        code = step_code(self.function, self.site)
        image = self.options.image or defaults.image
        scope = f"{defaults.scope}/{self.called}"
        named = depended(self.options.depends_on or (), os.path.dirname(self.site.file), self.site)
        keyed = cache.keyed(self.inputs, self.name)
        parts = [content_of(f, Input(f.name).expr(), by_name=not cache.code) for f in keyed]
        parts += environment_parts(dict(self.options.env))
        parts += depends_parts(named)
        stores = " ".join(f"{name}={place!r}" for name, place in self.options.stores)
        parts += [f"['stores', {literal(stores)}]"] if stores else []  # a hit leaves the file where it is
        # another pipeline may need the text itself, or have another volume
        long = " ".join([defaults.volumes[0].claim, *names]) if (names := self._long(defaults)) else ""
        parts += [f"['large', {literal(long)}]"] if long else []
        if cache.code:
            variables = (each.env for each in self.options.secrets)
            code.check(self.name, {*dict(self.options.env), *variables}, self.options.depends_on)
            check_cached(self.name, self.options.secrets, self.options.depends_on)
        generation = [Field(GENERATION, GENERATION, str)] if cache.conditions else []
        said = key_parts(
            cache,
            [*self.inputs, *generation],
            self.name,
            scope=scope,
            env=dict(self.options.env),
            code=code.digest,
            image=image,
            **depends_made(named),
            **({"large": long} if long else {}),
            **({"stores": stores} if stores else {}),
        )
        salt = cache.salt(scope, f"{code.digest}:{image}")
        return _Key(cache, key_expression(literal(f"{self.called}-"), salt, parts), said)

    def _reference(self) -> str:
        name = self.function.__qualname__
        return f"{self.function.__module__}:{name}"


class _Key(NamedTuple):
    """The key of a cached step as an expression, and the annotation that says what it is made of."""

    cache: Cache
    expression: str
    parts: dict[str, str]


@overload
def component(
    function: str | Callable[..., Any],
    /,
    *,
    name: str = "",
    image: str = "",
    cache: Cache | None = None,
    resources: Resources | None = None,
    retry: Retry | None = None,
    on_failure: OnFailure | None = None,
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
    egress: Sequence[str] = (),
    read_only_root: bool = True,
    secrets: Sequence[Keyed] = (),
    scheduling: Scheduling | None = None,
    pod: PodSettings | None = None,
    stores: Mapping[str, FileSource] | None = None,
) -> Component: ...
@overload
def component(
    *,
    name: str = "",
    image: str = "",
    cache: Cache | None = None,
    resources: Resources | None = None,
    retry: Retry | None = None,
    on_failure: OnFailure | None = None,
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
    egress: Sequence[str] = (),
    read_only_root: bool = True,
    secrets: Sequence[Keyed] = (),
    scheduling: Scheduling | None = None,
    pod: PodSettings | None = None,
    stores: Mapping[str, FileSource] | None = None,
) -> Callable[[Callable[..., Any]], Component]: ...
def component(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    name: str = "",
    image: str = "",
    cache: Cache | None = None,
    resources: Resources | None = None,
    retry: Retry | None = None,
    on_failure: OnFailure | None = None,
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
    egress: Sequence[str] = (),
    read_only_root: bool = True,
    secrets: Sequence[Keyed] = (),
    scheduling: Scheduling | None = None,
    pod: PodSettings | None = None,
    stores: Mapping[str, FileSource] | None = None,
) -> Any:
    """Make a step from a typed function, from ``"module:function"``, or as a decorator.

    Inputs and outputs come from the annotations: a dataclass or NamedTuple result gives an output for each
    field (kebab-case), any other result one output named ``result``. A function of the pipeline's own file is
    embedded with the helpers it reaches; any other is referenced by its module, which the image must have.

    ``cache`` reuses results, ``retry`` and ``timeout`` ("1h") bound a run, ``on_failure`` says
    what follows a failure by its cause, ``locks`` are semaphores and
    mutexes, ``env`` adds constants to the environment, ``title`` is the name in the Argo UI, ``exports`` maps
    outputs to names of outputs of the whole workflow. ``depends_on`` names what a result depends on and the code does
    not show, for the cache: files and globs (relative to the file that makes the component), ``module:NAME``,
    ``text:ANYTHING``. ``egress`` names the network policies that let the step out of the namespace (``["web"]``, see
    manifests/base/network.yaml); ``read_only_root=False`` lets it write outside ``/tmp`` and its volumes. ``secrets``
    are keys of Secrets and ConfigMaps, ``scheduling`` its nodes, ``pod`` the other settings of its pod. ``stores`` puts
    files that are returned where you say: ``stores={"result": S3("models", "{workflow}/{rate}.bin")}``, in which
    ``{rate}`` is an input.

    Raises DefinitionError: TIP101 name, TIP110 annotation, TIP111 a name that would not exist in the pod.
    """
    options = changed(
        ComponentOptions(timeout=timeout, embed=embed),
        {
            "name": name,
            "image": image,
            "cache": cache,
            "resources": resources or SMALL,
            "retry": retry,
            "on_failure": on_failure,
            "title": title,
            "locks": locks,
            "env": env or {},
            "exports": exports or {},
            "depends_on": depends_on,
            "egress": egress,
            "read_only_root": read_only_root,
            "secrets": secrets,
            "scheduling": scheduling,
            "pod": pod,
            "stores": stores or {},
        },
    )
    if function is None:
        return lambda f: Component(f, options)
    if isinstance(function, str):
        function = _import(function)
    return Component(function, options)


def _import(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    site = caller()
    module_name, _, function_name = reference.partition(":")
    try:
        value: Any = importlib.import_module(module_name)
        for part in function_name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise DefinitionError(
            "TIP112",
            f"the component {reference!r} cannot be imported: {error}",
            where=str(site),
            fix="write module:function, and run from the folder that has the module (or install it)",
        ) from error
    if not callable(value):
        raise DefinitionError(
            "TIP112", f"{reference!r} is not a function", where=str(site), fix="name a function"
        )
    return value  # type: ignore[no-any-return]
