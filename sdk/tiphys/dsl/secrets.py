"""Secrets and ConfigMaps of a step: by reference, so that no value is ever in what is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.argo.paths import key_problem
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_mount_path, check_object_name
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import EnvFrom, EnvFromObject, EnvSource, EnvVar, KeySelector
    from tiphys.argo.volume_types import ConfigMapVolume, SecretVolume, VolumeSpec

__all__ = ["ConfigMap", "Keyed", "Secret", "check_cached"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Keyed:
    """An object of the namespace with keys, and how a step sees them: a :class:`Secret` or a :class:`ConfigMap`."""

    name: str
    key: str = ""
    env: str = ""
    mount: str = ""
    prefix: str = ""
    optional: bool = False
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_object_name(self.name, f"a {type(self).__name__}", self.site)
        for what, value in (("key", self.key), ("env", self.env), ("prefix", self.prefix)):
            if not isinstance(value, str):
                raise self._wrong("TIP105", f"{what} is {type(value).__name__}, not text", "give text")
            if what != "key" and value and not _VARIABLE.match(value):
                near = re.sub(r"\W", "_", value)
                raise self._wrong(
                    "TIP101", f"{what}={value!r} is no name of a variable", f"for example {near!r}"
                )
        if self.key and (problem := key_problem(self.key)):
            raise self._wrong("TIP101", f"{self.key!r} is no key", "correct it", problem)
        if self.mount:
            check_mount_path(self.mount, f"the {type(self).__name__} {self.name!r}", self.site)
        if self.key and not self.env and not self.mount:
            variable = re.sub(r"[^A-Z0-9]", "_", self.key.upper())
            raise self._wrong(
                "TIP104", f"the key {self.key!r} goes nowhere", f"write env={variable!r}, or mount=…"
            )
        if self.env and not self.key and not self.mount:
            raise self._wrong(
                "TIP104", f"env={self.env!r} needs a key", "name the key whose value it is: key=…"
            )
        if self.prefix and not self.whole:
            raise self._wrong(
                "TIP105",
                f"prefix={self.prefix!r} stands before the variables of all keys",
                "leave it out, or key, env and mount",
            )

    def _wrong(self, code: str, what: str, fix: str, cause: str = "") -> DefinitionError:
        words = f"the {type(self).__name__} {self.name!r}: {what}"
        return DefinitionError(code, words, where=str(self.site), cause=cause, fix=fix)

    @property
    def whole(self) -> bool:
        """Whether each of its keys is a variable."""
        return not (self.key or self.mount or self.env)

    def variable(self) -> EnvVar | None:
        """The variable that holds its value or, where it is mounted, its path."""
        if not self.env:
            return None
        if self.mount:
            return {"name": self.env, "value": f"{self.mount}/{self.key}" if self.key else self.mount}
        return {"name": self.env, "valueFrom": self.source()}

    def variables(self) -> EnvFrom:
        """All its keys as variables."""
        whole: EnvFromObject = {"name": self.name}
        if self.optional:
            whole["optional"] = True
        group = self.group(whole)
        if self.prefix:
            group["prefix"] = self.prefix
        return group

    def selector(self) -> KeySelector:
        found: KeySelector = {"name": self.name, "key": self.key}
        if self.optional:
            found["optional"] = True
        return found

    def fill(self, volume: ConfigMapVolume | SecretVolume) -> None:
        """What a volume of it has beside its name."""
        if self.key:
            volume["items"] = [{"key": self.key, "path": self.key}]
        if self.optional:
            volume["optional"] = True

    def source(self) -> EnvSource:
        raise NotImplementedError

    def group(self, whole: EnvFromObject) -> EnvFrom:
        raise NotImplementedError

    def volume(self, name: str) -> VolumeSpec:
        raise NotImplementedError


class Secret(Keyed):
    """A Secret of the namespace, for ``@component(secrets=[…])``.

    ``Secret("s3", "access-key", env="AWS_ACCESS_KEY_ID")`` is a key as a variable; ``Secret("tls",
    mount="/var/secrets/tls")`` a folder with a file for each key, or for ``key`` only, and ``env`` then holds the path.
    ``Secret("s3")`` makes a variable of each key, named ``prefix`` and the key. Without ``optional`` a step does not
    start where the Secret or its key is missing. On this machine: ``tiphys run --secret s3=FILE`` (docs/pipelines.md).

    Raises DefinitionError: TIP101 for a name, key, variable or path that is none, TIP104 for a key that goes nowhere.
    """

    __slots__ = ()

    def source(self) -> EnvSource:
        return {"secretKeyRef": self.selector()}

    def group(self, whole: EnvFromObject) -> EnvFrom:
        return {"secretRef": whole}

    def volume(self, name: str) -> VolumeSpec:
        made: SecretVolume = {"secretName": self.name}
        self.fill(made)
        return {"name": name, "secret": made}


class ConfigMap(Keyed):
    """A ConfigMap of the namespace, for ``@component(secrets=[…])``: written as a :class:`Secret`.

    What it holds is not known when a pipeline is compiled: a step with a cache by content says by ``depends_on`` what
    its result depends on (TIP126).
    """

    __slots__ = ()

    def source(self) -> EnvSource:
        return {"configMapKeyRef": self.selector()}

    def group(self, whole: EnvFromObject) -> EnvFrom:
        return {"configMapRef": whole}

    def volume(self, name: str) -> VolumeSpec:
        made: ConfigMapVolume = {"name": self.name}
        self.fill(made)
        return {"name": name, "configMap": made}


def check_cached(owner: str, given: Iterable[Keyed], depends_on: Sequence[str] | None) -> None:
    """Refuse a cache by content (TIP126) of a step whose result may depend on a ConfigMap, unless the author says so. A
    Secret lets a step in somewhere, and says nothing about what it finds there."""
    for each in given:
        named = any(entry.startswith("text:") and each.name in entry for entry in depends_on or ())
        if isinstance(each, ConfigMap) and not named and depends_on != ():
            raise DefinitionError(
                "TIP126",
                f"the cache of {owner} cannot know what its result depends on: the ConfigMap {each.name!r}",
                where=str(each.site),
                cause="what it holds is not known when the pipeline is compiled",
                fix="make it an input of the step or env=, or say which one is meant: "
                f'depends_on=["text:{each.name} v1"] ([]: no result depends on it)',
            )
