"""What an author gives a training job on several pods, looked at where it is written."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.dsl.names import check_claim_path
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.source.digest import StepCode, module_code
from tiphys.dsl.types import Field
from tiphys.errors import DefinitionError, TiphysWarning, did_you_mean
from tiphys.step.kinds import unwrap

if TYPE_CHECKING:
    from tiphys.compiler.line import Site
    from tiphys.dsl.components import Component
    from tiphys.dsl.equipment import Equipment

__all__ = [
    "check_equipment",
    "check_folders",
    "check_follows",
    "further",
    "module_of",
    "one_of",
    "warn_dropped",
]


def one_of(what: str, value: object, allowed: Sequence[str], label: str, site: Site) -> None:
    """Raise DefinitionError TIP105 for what is none of them."""
    if value not in allowed:
        raise DefinitionError(
            "TIP105",
            f"{label}: {what}={value!r}{did_you_mean(str(value), allowed)}",
            where=str(site),
            fix=f"one of: {', '.join(repr(a) for a in allowed)}",
        )


def check_folders(
    folders: Mapping[str, str],
    names: Sequence[str],
    asked: Iterable[tuple[str, str]],
    label: str,
    site: Site,
) -> None:
    """``folders``: of the job, by the parameters of its function, which are ``names``. ``asked``: which options name a
    parameter; ``instance`` one that is no folder, the others a folder. Raises DefinitionError TIP101, TIP103."""
    for folder, root in folders.items():
        if folder not in names:
            raise DefinitionError(
                "TIP103",
                f"{label} has no parameter {folder!r} for a folder.{did_you_mean(folder, names)}",
                where=str(site),
                cause=f"parameters are: {', '.join(names)}",
                fix="name parameters of the training function in folders={…}",
            )
        check_claim_path(root, f"the folder {folder!r} of {label}", site)
    for what, value in asked:
        allowed = [n for n in names if n not in folders] if what == "instance" else list(folders)
        if (value or what != "instance") and value not in allowed:
            raise DefinitionError(
                "TIP103",
                f"{label}: {what}={value!r}{did_you_mean(value, allowed)}",
                where=str(site),
                fix=f"one of: {', '.join(allowed)}",
            )


def further(
    prepare: Component | None, arguments: Sequence[Field], folders: Iterable[str], label: str, site: Site
) -> list[Field]:
    """The inputs that the step before the job has of its own. Raises DefinitionError (TIP105)."""
    if prepare is None:
        return []
    own = {each.python: each for each in arguments}
    for field in prepare.inputs:
        there = own.get(field.python)
        if field.python in folders or (there is not None and unwrap(there.type) != unwrap(field.type)):
            raise DefinitionError(
                "TIP105",
                f"{label}: {prepare.name} takes {field.python!r}, which is another thing in the training",
                where=str(site),
                cause="what both take has one value",
                fix=f"give the input of {prepare.name} another name",
            )
    return [field for field in prepare.inputs if field.python not in own]


def check_follows(follows: OnFailure | None, kind: str, label: str, site: Site) -> None:
    """Of a job's causes Argo is told one. Raises DefinitionError TIP105. ``kind``: of the job."""
    if follows is None:
        return
    if not isinstance(follows, OnFailure):
        raise DefinitionError(
            "TIP105", f"{label}: on_failure={follows!r}", where=str(site), fix="write on_failure=OnFailure(…)"
        )
    again = follows.preempted
    if follows.oom or follows.timeout or (again is not None and again.within is not None):
        raise DefinitionError(
            "TIP105",
            f"{label}: of its causes a {kind} has only preempted=Again(N)",
            where=str(site),
            cause="the training operator does not tell Argo why a job failed, and starts a worker again by itself",
            fix="give the workers memory by resources=Resources(…), and the job its time by deadline=",
        )


def check_equipment(given: Equipment, kind: str, label: str, site: Site) -> None:
    """What the pods of a job cannot be given. Raises DefinitionError TIP105. ``kind``: what the job becomes."""
    settings = given.settings
    account = {"service_account": settings.service_account, "token": settings.token}
    for option, value in account.items():
        if value:
            raise DefinitionError(
                "TIP105",
                f"{label}: pod=PodSettings({option}={value!r}) of a {kind}",
                where=str(settings.site),
                cause="what a pipeline creates runs as the namespace's default account, without its token: "
                "manifests/base/policy.yaml",
                fix="leave it out; a key of a server is secrets=[Secret(…)], and what needs the account a component",
            )
    if kind != "TrainJob":
        return
    asked = {
        "pod=PodSettings(host_aliases=…)": settings.host_aliases,
        "pod=PodSettings(patch=…)": settings.patch,
        "secrets=[…] with all keys as variables": [each for each in given.secrets if each.whole],
    }
    for what, value in asked.items():
        if value:
            raise DefinitionError(
                "TIP105",
                f"{label}: a TrainJob cannot say {what}",
                where=str(site),
                cause="its pods are those of its runtime, and few fields of them can be said anew",
                fix='write it into the runtime, name each key (Secret("s3", "key", env="KEY")), or take another kind',
            )


def module_of(function: Callable[..., object], site: Site) -> tuple[str, StepCode]:
    """The module that each worker imports, and its code."""
    module = function.__module__
    if module == "__main__" or "<locals>" in function.__qualname__:
        raise DefinitionError(
            "TIP110",
            f"the training function {function.__name__} is not in an importable module",
            where=str(site),
            cause="each worker runs `python -m MODULE` in its image",
            fix="move it to a module of your package, for example components/train.py",
        )
    path = function.__code__.co_filename
    if importlib.util.find_spec(module) is None:
        raise DefinitionError(
            "TIP110",
            f"the module {module} cannot be found",
            where=str(site),
            fix="install it, or fix sys.path",
        )
    return module, module_code(module, path, site)


def warn_dropped(label: str, site: Site, kind: str, name: str, value: str, why: str) -> None:
    """Warn (TIP129), at the user's line, of a parameter that an object of this ``kind`` cannot say."""
    said = TiphysWarning("TIP129", f"{label}: {name}={value!r} is dropped by kind={kind!r}: {why}")
    warnings.warn_explicit(said, TiphysWarning, site.file or "<unknown>", site.line)
