"""How a component runs: the options of ``@component`` and of ``using``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import timedelta

from tiphys.compiler.line import caller
from tiphys.dsl.cache import Cache
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.equipment import Equipment
from tiphys.dsl.locks import Lock
from tiphys.dsl.names import check_name, check_title
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.pod_settings import PodSettings
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.secrets import Keyed
from tiphys.dsl.sources import FileSource
from tiphys.errors import DefinitionError

__all__ = ["SMALL", "ComponentOptions", "changed"]

SMALL = Resources(cpu="100m", memory="256Mi")


@dataclasses.dataclass(frozen=True, slots=True)
class ComponentOptions:
    """How a component runs."""

    name: str = ""
    image: str = ""
    cache: Cache | None = None
    resources: Resources = SMALL
    retry: Retry | None = None
    on_failure: OnFailure | None = None
    timeout: str | timedelta | None = None
    locks: tuple[Lock, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    title: str = ""
    embed: bool | None = None
    exports: tuple[tuple[str, str], ...] = ()
    depends_on: tuple[str, ...] | None = None
    egress: tuple[str, ...] = ()
    read_only_root: bool = True
    secrets: tuple[Keyed, ...] = ()
    scheduling: Scheduling | None = None
    pod: PodSettings | None = None
    stores: tuple[tuple[str, FileSource], ...] = ()

    @property
    def equipment(self) -> Equipment:
        return Equipment(self.secrets, self.scheduling, self.pod, self.resources)


_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "cache": (Cache, "write cache=Cache.by_content(), or leave it out"),
    "resources": (Resources, 'write resources=Resources(cpu="1", memory="1Gi")'),
    "retry": (Retry, "write retry=Retry(…)"),
    "on_failure": (OnFailure, "write on_failure=OnFailure(…)"),
    "locks": ((list, tuple), "write a list: locks=[…]"),
    "env": ((Mapping, list, tuple), 'write env={"NAME": "text"}'),
    "exports": ((Mapping, list, tuple), 'write exports={"output": "name"}'),
    "depends_on": ((str, list, tuple), 'write a list: depends_on=["data/*.csv"]'),
    "egress": ((str, list, tuple), 'write a list of names of network policies: egress=["web"]'),
    "secrets": (
        (Keyed, list, tuple),
        'write a list: secrets=[Secret("s3", "access-key", env="AWS_ACCESS_KEY_ID")]',
    ),
    "scheduling": (Scheduling, "write scheduling=Scheduling(…)"),
    "stores": ((Mapping, list, tuple), 'write stores={"result": S3("bucket", "key")}'),
    "pod": (PodSettings, "write pod=PodSettings(…)"),
    "read_only_root": (bool, "give True or False"),
    "name": (str, "give text"),
    "image": (str, "give text"),
    "title": (str, "give text"),
}


_replaced: Callable[..., ComponentOptions] = dataclasses.replace  # the kinds are looked at before


def changed(
    options: ComponentOptions, changes: Mapping[str, object], owner: str = "a component"
) -> ComponentOptions:
    """The options with others in their place; mappings and lists become their frozen forms. Raises DefinitionError,
    which says that they are the ``owner``'s."""
    result = dict(changes)
    for name, (kinds, fix) in _KINDS.items():
        value = result.get(name)
        if value is not None and not isinstance(value, kinds):
            raise DefinitionError(
                "TIP105",
                f"the option {name}= of {owner} is {type(value).__name__}",
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
                else "pass a value as an input; a Secret is given with secrets=[Secret(…)]",
            )
    for name in ("depends_on", "egress", "locks", "secrets"):
        value = result.get(name)
        if isinstance(value, str | Keyed):
            result[name] = (value,)
        elif isinstance(value, (list, tuple)):
            result[name] = tuple(value)
    for name in ("env", "exports", "stores"):
        value = result.get(name)
        if isinstance(value, Mapping):
            result[name] = tuple(sorted(value.items()))
    made = _replaced(options, **result)
    if made.retry is not None and made.on_failure is not None:
        raise DefinitionError(
            "TIP105",
            "a component has retry= and on_failure=",
            where=str(caller()),
            cause="each of them says when it is tried again",
            fix="keep on_failure=, which tells causes apart, or retry= with an expression of your own",
        )
    if made.on_failure is not None and made.on_failure.oom is not None:
        made.on_failure.oom.mebibytes(made.resources)
    for each in made.secrets:
        if not isinstance(each, Keyed):
            raise DefinitionError(
                "TIP105",
                f"secrets: {type(each).__name__} is no Secret",
                where=str(caller()),
                fix='write Secret("s3", "access-key", env="AWS_ACCESS_KEY_ID"), or ConfigMap(…)',
            )
    if made.scheduling is not None and made.scheduling.priority is not None:
        raise DefinitionError(
            "TIP105",
            f"{owner} has scheduling= with a priority",
            where=str(caller()),
            cause="Argo orders whole workflows by it",
            fix="give it to the Pipeline; whom a full node sends away is priority_class=",
        )
    if made.timeout is not None:
        whole_seconds(made.timeout, "timeout", caller())
    if made.title:
        check_title(made.title, caller())
    for name in made.egress:
        check_name(name, "a network policy", caller())
    return made
