"""A container as a step: any image and its command, with typed inputs and outputs from files.

Inputs are environment variables of their own names, so that no value is ever spliced into a shell's text; a program
that wants one as an argument has it where ``ContainerStep.input("name")`` stands in its command.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.cache import Cache, content_of, environment_parts, in_use, key_expression
from tiphys.dsl.component_options import SMALL, ComponentOptions, changed
from tiphys.dsl.composed import guard
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.files import (
    declared,
    digest_parameters,
    file_place,
    input_artifacts,
    output_artifacts,
)
from tiphys.dsl.key_parts import key_parts, memoize
from tiphys.dsl.literals import literal
from tiphys.dsl.locks import Lock
from tiphys.dsl.names import check_options, suggest
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.pod import Defaults
from tiphys.dsl.pod_settings import PodSettings
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.secrets import ConfigMap, Keyed
from tiphys.dsl.sources import by_place, counted
from tiphys.dsl.step_frame import begun, finish
from tiphys.dsl.template import Argument, input_parameters
from tiphys.dsl.types import fields_of
from tiphys.dsl.values import Input
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.jsontypes import JsonObject

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, EnvVar
    from tiphys.argo.types import Arguments, Outputs, Template

__all__ = ["ContainerStep", "container"]

_DOLLAR = re.compile(r"\$(?=[$(])")
_FROM_KUBERNETES = ("PATH", "HOME", "HOSTNAME")
_OPTIONS = (
    "cache",
    "egress",
    "env",
    "image",
    "locks",
    "name",
    "on_failure",
    "pod",
    "read_only_root",
    "resources",
    "retry",
    "scheduling",
    "secrets",
    "timeout",
    "title",
)
Path = str | tuple[object, str]


class ContainerStep(CallableTemplate):
    """A container as a template. Make one with :func:`container`; its call makes a task."""

    option_names = frozenset(_OPTIONS)

    def __init__(
        self,
        image: str,
        command: Sequence[object],
        inputs: Mapping[str, object],
        outputs: Mapping[str, Path],
        options: ComponentOptions,
        site: Site,
    ) -> None:
        if not isinstance(image, str) or not image:
            raise _kind(f"the image is {image!r}", 'write container("alpine:3.20", ["echo", "hello"])', site)
        name = options.name or suggest(image.split("@")[0].split("/")[-1].split(":")[0])
        files = {each: _file(each, path, site) for each, path in outputs.items()}
        kinds = {each: kind for each, (kind, _) in files.items()}
        super().__init__(
            name,
            fields_of(inputs, f"the input of {name}", site, files=True),
            fields_of(kinds, f"the output of {name}", site, files=True),
            locks=options.locks,
            site=site,
        )
        self.image, self.options = image, options
        self.given = (inputs, outputs)
        self.files = {f.name: files[each][1] for each, f in zip(files, self.outputs, strict=True)}
        for field in self.inputs:
            if field.python in _FROM_KUBERNETES:
                raise DefinitionError(
                    "TIP101",
                    f"an input of {name} is called {field.python!r}",
                    where=str(site),
                    cause="an input is an environment variable of its name, and this one means something already",
                    fix="give it another name",
                )
        if isinstance(command, str) or not isinstance(command, Sequence) or not command:
            raise _kind(
                f"the command of {name} is {command!r}",
                'write a list: ["echo", "hello"], or ["sh", "-c", "…"] for a line of shell',
                site,
            )
        self.command = tuple(command)
        self.words = [self._word(each) for each in command]
        cache = in_use(options.cache)
        if cache is not None:
            self._check(cache)

    @staticmethod
    def input(name: str) -> Input:
        """Where an input stands in the command, as an argument of its own."""
        return Input(name.strip("_").replace("_", "-"))

    def using(self, **changes: Any) -> ContainerStep:
        """A copy with other options, for example ``fetch.using(image="alpine:3.21", cache=None)``."""
        check_options(changes, self.option_names, "a container", caller())
        image = changes.pop("image", self.image)
        named = {"name": self.name, **changes}
        return ContainerStep(image, self.command, *self.given, changed(self.options, named), caller())

    def _word(self, word: object) -> str:
        if isinstance(word, Input):
            names = [f.name for f in self.inputs]
            if word.name not in names:
                raise DefinitionError(
                    "TIP103",
                    f"the command of {self.name} names the input {word.name!r}, which there is not."
                    f"{did_you_mean(word.name, names)}",
                    where=str(self.site),
                    fix=f"inputs are: {', '.join(names) or 'none'}",
                )
            field = next(f for f in self.inputs if f.name == word.name)
            return file_place(field) if field.is_file else word.tag()
        if not isinstance(word, str):
            raise _kind(
                f"the command of {self.name} holds {word!r}",
                'each part is text, or ContainerStep.input("name")',
                self.site,
            )
        return _DOLLAR.sub("$$", guard(word, f"the command of {self.name}", self.site))

    def _check(self, cache: Cache) -> None:
        if cache.conditions:
            raise DefinitionError(
                "TIP125",
                f"the cache of {self.name} has conditions",
                where=str(cache.site),
                cause="a container that is not Tiphys' own has nothing that judges them",
                fix="use Cache.by_content() or Cache.by_age(…)",
            )
        maps = [each for each in self.options.secrets if isinstance(each, ConfigMap)]
        if cache.code and maps:
            raise DefinitionError(
                "TIP126",
                f"{self.name} has a cache by content, and reads the ConfigMap {maps[0].name!r}",
                where=str(maps[0].site),
                cause="what it holds is not known when the pipeline is compiled",
                fix="make it an input of the step or env=, or leave the cache out",
            )
        tag = self.image.split("/")[-1].partition(":")[2]
        if cache.code and "@" not in self.image and tag in ("", "latest"):
            raise DefinitionError(
                "TIP126",
                f"{self.name} has a cache by content, and its image is {self.image}",
                where=str(self.site),
                cause="what is behind that name changes, and the key does not",
                fix="name a version (alpine:3.20) or a digest (alpine@sha256:…)",
            )

    def extra_arguments(self, arguments: Mapping[str, Argument], defaults: Defaults) -> dict[str, Argument]:
        """With a cache the digests of files; what could never be found again is refused (TIP128)."""
        cache = self.options.cache
        if cache is None:
            return {}
        cache.check_arguments(self.inputs, arguments, self.name)
        return {**by_place(self.inputs, arguments, self.name, in_use(cache), None)}

    def body(self, defaults: Defaults) -> JsonObject:
        options = self.options
        template = begun(self.name, options, (*self.inputs, *self.outputs))
        if self.inputs:
            files = counted(self.inputs, self.name, in_use(options.cache))
            parameters = [*input_parameters(self.inputs, self.site), *digest_parameters(files)]
            template["inputs"] = cast("Arguments", declared(parameters, input_artifacts(self.inputs)))
        mutexes = self._memoized(template, defaults)
        box: ContainerSpec = {"image": self.image, "command": self.words}
        env: list[EnvVar] = [
            {"name": f.python, "value": file_place(f) if f.is_file else Input(f.name).tag()}
            for f in self.inputs
        ]
        env += [{"name": name, "value": value} for name, value in options.env]
        if env:
            box["env"] = env
        finish(
            template, "container", box, options, defaults, locks=self.locks, mutexes=mutexes, site=self.site
        )
        made = {f.name for f in self.outputs if f.is_file}
        texts = [{"name": n, "valueFrom": {"path": p}} for n, p in self.files.items() if n not in made]
        if outputs := declared(texts, output_artifacts(self.outputs, self.files, {}, {})):
            template["outputs"] = cast("Outputs", outputs)
        return cast("JsonObject", template)

    def _memoized(self, template: Template, defaults: Defaults) -> list[str]:
        """Give the template its cache; returns the mutex by which equal runs wait for each other."""
        cache = in_use(self.options.cache)
        if cache is None:
            return []
        env, scope = dict(self.options.env), f"{defaults.scope}/{self.name}"
        said = json.dumps([self.words, self.files], sort_keys=True)
        code = hashlib.sha256(said.encode()).hexdigest()
        parts = [
            content_of(f, Input(f.name).expr(), by_name=not cache.code)
            for f in cache.keyed(self.inputs, self.name)
        ]
        salt = cache.salt(scope, f"{code}:{self.image}")
        key = key_expression(literal(f"{self.name}-"), salt, [*parts, *environment_parts(env)])
        key = "{{=" + key + "}}"
        template["memoize"] = memoize(key, cache, self.name)
        template["annotations"] = {
            **template.get("annotations", {}),
            **key_parts(cache, self.inputs, self.name, scope=scope, env=env, code=code, image=self.image),
        }
        return [key] if cache.single_flight else []


def container(
    image: str,
    command: Sequence[object],
    *,
    inputs: Mapping[str, object] | None = None,
    outputs: Mapping[str, Path] | None = None,
    name: str = "",
    cache: Cache | None = None,
    resources: Resources | None = None,
    retry: Retry | None = None,
    on_failure: OnFailure | None = None,
    timeout: str | timedelta | None = None,
    locks: Sequence[Lock] = (),
    env: Mapping[str, str] | None = None,
    secrets: Sequence[Keyed] = (),
    scheduling: Scheduling | None = None,
    pod: PodSettings | None = None,
    title: str = "",
    egress: Sequence[str] = (),
    read_only_root: bool = True,
) -> ContainerStep:
    """A container as a step: ``fetch = container("alpine:3.20", ["sh", "-c", 'wc -c <<<"$text" >/tmp/n'], …)``.

    ``inputs`` maps names to types: each is an environment variable of its name, and stands as an argument of its own
    where ``ContainerStep.input("name")`` is in ``command``. ``outputs`` maps names to the files that hold them:
    ``"/tmp/text"``, or with a type ``(int, "/tmp/n")``. Its root file system is read-only but for ``/tmp``, unless
    ``read_only_root=False``. The other options are those of a component. The template is named after the image unless
    ``name`` says otherwise.

    Raises DefinitionError: TIP101 a path or name that is not legal, TIP103 an input that there is not, TIP105 what is
    of another kind, TIP110 a type without a text, TIP125 and TIP126 a cache that could not be trusted.
    """
    given = {
        "name": name,
        "cache": cache,
        "resources": resources or SMALL,
        "retry": retry,
        "on_failure": on_failure,
        "timeout": timeout,
        "locks": locks,
        "env": env or {},
        "secrets": secrets,
        "scheduling": scheduling,
        "pod": pod,
        "title": title,
        "egress": egress,
        "read_only_root": read_only_root,
    }
    return ContainerStep(
        image, command, inputs or {}, outputs or {}, changed(ComponentOptions(), given), caller()
    )


def _kind(message: str, fix: str, site: Site) -> DefinitionError:
    return DefinitionError("TIP105", message, where=str(site), fix=fix)


def _file(name: str, said: Path, site: Site) -> tuple[object, str]:
    """The type and the path of an output."""
    kind, path = said if isinstance(said, tuple) and len(said) == 2 else (str, said)
    if not isinstance(path, str) or not re.fullmatch(r"(/[^/{}$]+)+", path):
        raise DefinitionError(
            "TIP101",
            f"the output {name!r} is in {said!r}, which is not the path of a file",
            where=str(site),
            fix=f'write outputs={{"{name}": "/tmp/{name}"}}, or with a type {{"{name}": (int, "/tmp/{name}")}}',
        )
    return kind, path
