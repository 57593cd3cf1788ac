"""What an administrator sets for all runs of a server, where Argo's controller reads it: the ConfigMap
``workflow-controller-configmap``, which is kept like any other (``kubectl apply -f``).

Read of it: ``workflowDefaults``; ``artifactRepository.archiveLogs``; ``persistence.archive`` and ``archiveTTL``;
``retentionPolicy``. The rest is a cluster's. Source: config/config.go of Argo 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tiphys.argo.patch import WORKFLOW, PatchError, strategic, without_nulls
from tiphys.argo.reader import read_value
from tiphys.errors import RefusedError
from tiphys.expr.durations import parse_go
from tiphys.server.answers import RequestError

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject
    from tiphys.jsontypes import JsonObject

__all__ = ["CONTROLLER", "ControllerSettings", "controller_settings"]

CONTROLLER = "workflow-controller-configmap"
_DAYS = re.compile(r"([0-9]+)d")
_KEPT = {"completed": "Succeeded", "failed": "Failed", "errored": "Error"}


@dataclass(frozen=True)
class ControllerSettings:
    """``defaults``: what each Workflow has that does not say otherwise. ``archive``: what is deleted is kept in the
    archive, ``archive_ttl`` seconds long (0: for ever). ``retention``: how many of those that ended in a phase stay; of
    a phase that is not there, all."""

    defaults: JsonObject = field(default_factory=dict)
    archive: bool = False
    archive_ttl: float = 0.0
    retention: Mapping[str, int] = field(default_factory=dict)

    def applied(self, given: GivenObject, template: GivenObject | None = None) -> GivenObject:
        """A Workflow with the defaults; ``template``: the one that its ``workflowTemplateRef`` names, before which they
        count for nothing. Raises RequestError 422 where they cannot be merged."""
        if not self.defaults:
            return given
        own = without_nulls(cast("JsonObject", given))
        base: JsonObject = {}
        if template is not None:
            base = {"spec": _inside(without_nulls(cast("JsonObject", template)), "spec")}
        try:
            joined = strategic(self.defaults, strategic(base, own, WORKFLOW), WORKFLOW)
        except PatchError as error:
            raise RequestError(422, f"{CONTROLLER}: workflowDefaults: {error}") from None
        if template is not None:  # whose spec is not written into the Workflow's
            spec, wanted = cast("JsonObject", joined["spec"]), self.defaults.get("spec") or {}
            assert isinstance(wanted, dict)
            joined["spec"] = {
                **cast("JsonObject", own.get("spec") or {}),
                **{key: spec[key] for key in wanted},
            }
        return cast("GivenObject", joined)


def controller_settings(config_map: Mapping[str, object]) -> ControllerSettings:
    """Raises RequestError 422 for what cannot be read."""
    data = config_map.get("data") or {}
    assert isinstance(data, dict)
    if "config" in data:
        if len(data) > 1:
            raise RequestError(
                422, "if you have an item in your config map named 'config', you must only have one item"
            )
        found = _object(data, "config")
    else:
        found = {key: _object(data, key) for key in _READ if key in data}
    defaults = _inside(found, "workflowDefaults")
    spec, _ = (_inside(defaults, key) for key in ("spec", "metadata"))
    if _inside(found, "artifactRepository").get("archiveLogs") is True:
        defaults = {**defaults, "spec": {"archiveLogs": True, **spec}}
    persistence, retention = _inside(found, "persistence"), _inside(found, "retentionPolicy")
    return ControllerSettings(
        without_nulls(defaults),
        persistence.get("archive") is True,
        _seconds(persistence.get("archiveTTL")),
        {_KEPT[key]: _count(retention[key], key) for key in _KEPT if key in retention},
    )


_READ = ("workflowDefaults", "artifactRepository", "persistence", "retentionPolicy")


def _object(place: Mapping[str, object], key: str) -> JsonObject:
    try:
        return _inside({key: read_value(str(place[key]))}, key)
    except RefusedError as error:
        raise RequestError(422, f"{CONTROLLER}: {key}: {error.message}") from None


def _inside(place: JsonObject, key: str) -> JsonObject:
    found = place.get(key) or {}
    if not isinstance(found, dict):
        raise RequestError(422, f"{CONTROLLER}: {key}: it is no object")
    return found


def _count(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(422, f"{CONTROLLER}: retentionPolicy.{key}: {value!r} is no number of runs")
    return value


def _seconds(value: object) -> float:
    """``30d``, or as Go writes a duration. Source: config/ttl.go."""
    if value in (None, ""):
        return 0.0
    if days := _DAYS.fullmatch(str(value)):
        return int(days[1]) * 86400.0
    try:
        return parse_go(str(value))
    except ValueError:
        raise RequestError(
            422, f"{CONTROLLER}: persistence.archiveTTL: {value!r} is none of 30d, 12h, 30m, 10s"
        ) from None
