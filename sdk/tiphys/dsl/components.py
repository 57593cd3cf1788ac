"""A component: a typed Python function as a step that runs in a container."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

from tiphys.argo.cache_mode import KEY_ENV
from tiphys.argo.memo import cache_map
from tiphys.compiler.line import Site, caller
from tiphys.compiler.project import FLAG
from tiphys.dsl.cache import Cache, content_of, environment_parts, in_use, key_expression
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.durations import go_duration
from tiphys.dsl.guarded import GENERATED, GENERATION, guarded
from tiphys.dsl.key_parts import key_parts
from tiphys.dsl.literals import literal
from tiphys.dsl.locks import Lock, synchronization
from tiphys.dsl.pod import CONTAINER_SECURITY, Defaults, Resources, executor_patch
from tiphys.dsl.retry import Retry
from tiphys.dsl.source.closure import check_names, function_node
from tiphys.dsl.source.digest import depended, step_code
from tiphys.dsl.source.embed import script_source
from tiphys.dsl.source.module import module_of
from tiphys.dsl.template import Argument, StepTemplate, input_parameters
from tiphys.dsl.types import Field, FunctionSignature, kebab, signature_of
from tiphys.dsl.values import Input
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.types import Template

__all__ = ["OUTPUTS", "Component", "component", "input_env"]

OUTPUTS = "/tmp/tiphys/outputs"
"""Where a step writes its outputs."""


def input_env(fields: Sequence[Field]) -> list[dict[str, str]]:
    """Inputs as environment: ``TIPHYS_INPUT_<NAME>``."""
    return [{"name": env_name(f), "value": Input(f.name).tag()} for f in fields]


def env_name(field: Field) -> str:
    return "TIPHYS_INPUT_" + field.name.upper().replace("-", "_")


_SMALL = Resources(cpu="100m", memory="256Mi")


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentOptions:
    """How a component runs."""

    name: str = ""
    image: str = ""
    cache: Cache | None = None
    resources: Resources = _SMALL
    retry: Retry | None = None
    timeout: str | timedelta | None = None
    locks: tuple[Lock, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    title: str = ""
    embed: bool | None = None
    exports: tuple[tuple[str, str], ...] = ()
    depends_on: tuple[str, ...] | None = None


class Component(CallableTemplate):
    """A function as a template. Make one with :func:`component`.

    Called inside a pipeline it makes a task; called anywhere else it simply runs the function.
    """

    option_names = frozenset(f.name for f in dataclasses.fields(ComponentOptions))

    def __init__(self, function: Callable[..., Any], options: ComponentOptions) -> None:
        self.function = function
        self.options = options
        if isinstance(function, StepTemplate) or hasattr(function, "wrapped_function"):
            raise DefinitionError(
                "TIP110",
                f"{getattr(function, '__name__', function)!s} is a template already",
                where=str(caller()),
                cause="it was made by @component or by Hera's @script",
                fix="decorate the plain function, once; component.using(…) changes the options of a component",
            )
        code = getattr(function, "__code__", None)
        if code is None:
            raise DefinitionError(
                "TIP110",
                f"{function!r} is not a Python function",
                where=str(caller()),
                cause="its signature and source are read",
                fix="wrap it in a def",
            )
        site = Site(code.co_filename, code.co_firstlineno)
        self.signature: FunctionSignature = signature_of(function, site)
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
        known = self.option_names
        for name in changes:
            if name not in known:
                raise DefinitionError(
                    "TIP103",
                    f"a component has no option {name!r}",
                    where=str(caller()),
                    fix=f"options are: {', '.join(sorted(known))}",
                )
        return Component(self.function, dataclasses.replace(self.options, **_options(changes)))

    def outside(self, args: tuple[Any, ...], arguments: dict[str, Any], site: Site) -> Any:
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
        """None; with a cache, a reference that could never be found again is refused (TIP128)."""
        if self.options.cache is not None:
            self.options.cache.check_arguments(self.inputs, arguments, self.name)
        return super().extra_arguments(arguments, defaults)

    def body(self, defaults: Defaults) -> dict[str, Any]:
        cache = in_use(self.options.cache)
        return self._body(defaults, None if cache is None else self._key(cache, defaults))

    def _body(self, defaults: Defaults, keyed: _Key | None) -> dict[str, Any]:
        options = self.options
        image = options.image or defaults.image
        template: dict[str, Any] = {"name": self.name}
        if options.title:
            template["annotations"] = {"workflows.argoproj.io/display-name": options.title}
        if self.inputs:
            template["inputs"] = {"parameters": input_parameters(self.inputs, self.site)}
        env = [
            *input_env(self.inputs),
            {"name": "TIPHYS_OUTPUTS", "value": OUTPUTS},
            *defaults.volumes_env(),
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
            template["memoize"] = memoize(key, cache, self.name)
            template.setdefault("annotations", {}).update(keyed.parts)
            if cache.single_flight:
                mutexes.append(key)
        env += [{"name": name, "value": value} for name, value in options.env]
        locks = synchronization(self.locks, mutexes)
        if locks:
            template["synchronization"] = locks
        if options.timeout is not None:
            template["timeout"] = go_duration(options.timeout, "timeout", self.site)
        if options.retry is not None:
            template["retryStrategy"] = options.retry.strategy()
        container: dict[str, Any] = {"image": image}
        if self.embedded(defaults):
            container["command"] = ["python"]
            container["source"] = script_source(self.function, self.signature, self.site)
        else:
            container["command"] = ["python", "-m", "tiphys.step", self._reference()]
        container["env"] = env
        container["resources"] = options.resources.mapping()
        container["securityContext"] = CONTAINER_SECURITY
        if defaults.volumes:
            container["volumeMounts"] = [v.mount() for v in defaults.volumes]
        template["script" if "source" in container else "container"] = container
        template["podSpecPatch"] = executor_patch(resource=False)
        if self.outputs:
            exports = dict(options.exports)
            template["outputs"] = {
                "parameters": [
                    {
                        "name": f.name,
                        "valueFrom": {"path": f"{OUTPUTS}/{f.name}"},
                        **({"globalName": exports[f.name]} if f.name in exports else {}),
                    }
                    for f in self.outputs
                ]
            }
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
        scope = f"{defaults.scope}/{self.name}"
        named = depended(self.options.depends_on or (), os.path.dirname(self.site.file), self.site)
        keyed = cache.keyed(self.inputs, self.name)
        parts = [content_of(f, Input(f.name).expr(), by_name=not cache.code) for f in keyed]
        parts += environment_parts(dict(self.options.env))
        parts += depends_parts(named)
        if cache.code:
            code.check(self.name, dict(self.options.env), self.options.depends_on)
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
        )
        salt = cache.salt(scope, f"{code.digest}:{image}")
        return _Key(cache, key_expression(literal(f"{self.name}-"), salt, parts), said)

    def _reference(self) -> str:
        name = self.function.__qualname__
        return f"{self.function.__module__}:{name}"


class _Key(NamedTuple):
    """The key of a cached step as an expression, and the annotation that says what it is made of."""

    cache: Cache
    expression: str
    parts: dict[str, str]


def depends_parts(found: Sequence[str]) -> list[str]:
    """How what ``depends_on`` gives counts in a key; nothing when it names nothing."""
    return ["['depends', " + ", ".join(literal(text) for text in found) + "]"] if found else []


def depends_made(found: Sequence[str]) -> dict[str, str]:
    """How what ``depends_on`` gives shows among the parts of a key."""
    return {"depends_on": " ".join(found)} if found else {}


def memoize(key: str, cache: Cache, template: str) -> dict[str, Any]:
    """Argo's ``memoize``: ConfigMaps of its own for each cached template, since one holds 1 MiB in all."""
    return {
        "key": key,
        "maxAge": cache.age,
        "cache": {"configMap": {"name": cache_map(template, key)}},
    }


_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "cache": (Cache, "write cache=Cache.by_content(), or leave it out"),
    "resources": (Resources, 'write resources=Resources(cpu="1", memory="1Gi")'),
    "retry": (Retry, "write retry=Retry(…)"),
    "locks": ((list, tuple), "write a list: locks=[…]"),
    "env": ((Mapping, list, tuple), 'write env={"NAME": "text"}'),
    "exports": ((Mapping, list, tuple), 'write exports={"output": "name"}'),
    "depends_on": ((str, list, tuple), 'write a list: depends_on=["data/*.csv"]'),
    "name": (str, "give text"),
    "image": (str, "give text"),
    "title": (str, "give text"),
}


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings and lists as the frozen forms of :class:`ComponentOptions`."""
    result = dict(given)
    for name, (kinds, fix) in _KINDS.items():
        value = result.get(name)
        if value is not None and not isinstance(value, kinds):
            raise DefinitionError(
                "TIP105",
                f"the option {name}= of a component is {type(value).__name__}",
                where=str(caller()),
                fix=fix,
            )
    env = result.get("env")
    for name, value in env.items() if isinstance(env, Mapping) else ():
        if not isinstance(value, str):
            raise DefinitionError(
                "TIP105",
                f"env: {name} is {type(value).__name__}, not text",
                where=str(caller()),
                cause="env adds constants to the environment of a step",
                fix=f'write "{value}"'
                if isinstance(value, (bool, int, float))
                else "pass a value as an input; for a "
                "Secret use a template of Hera in a DAG of Hera's Workflow",
            )
    if isinstance(depends := result.get("depends_on"), str):
        result["depends_on"] = (depends,)
    elif depends is not None:
        result["depends_on"] = tuple(depends)
    if "locks" in result:
        result["locks"] = tuple(result["locks"])
    for name in ("env", "exports"):
        if isinstance(result.get(name), Mapping):
            result[name] = tuple(sorted(result[name].items()))
    return result


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
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
) -> Component: ...
@overload
def component(
    *,
    name: str = "",
    image: str = "",
    cache: Cache | None = None,
    resources: Resources | None = None,
    retry: Retry | None = None,
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
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
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    title: str = "",
    embed: bool | None = None,
    exports: Mapping[str, str] | None = None,
    depends_on: Sequence[str] | None = None,
) -> Any:
    """Make a step from a typed function, from ``"module:function"``, or as a decorator.

    Inputs and outputs come from the annotations: a dataclass or NamedTuple result gives an output for each
    field (kebab-case), any other result one output named ``result``. A function of the pipeline's own file is
    embedded with the helpers it reaches; any other is referenced by its module, which the image must have.

    ``cache`` reuses results, ``retry`` and ``timeout`` ("1h") bound a run, ``locks`` are semaphores and
    mutexes, ``env`` adds constants to the environment, ``title`` is the name in the Argo UI, ``exports`` maps
    outputs to names of outputs of the whole workflow. ``depends_on`` names what a result depends on and the code does
    not show, for the cache: files and globs (relative to the file that makes the component), ``module:NAME``,
    ``text:ANYTHING``.

    Raises DefinitionError: TIP101 name, TIP110 annotation, TIP111 a name that would not exist in the pod.
    """
    options = ComponentOptions(
        timeout=timeout,
        embed=embed,
        **_options(
            {
                "name": name,
                "image": image,
                "cache": cache,
                "resources": resources or _SMALL,
                "retry": retry,
                "title": title,
                "locks": locks,
                "env": env or {},
                "exports": exports or {},
                "depends_on": depends_on,
            }
        ),
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
