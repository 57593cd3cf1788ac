"""What a pod has, in Kubernetes' own words: checked against its schema where it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tiphys.argo.decode import decode
from tiphys.argo.schema import table
from tiphys.argo.spec import Path, written
from tiphys.compiler.line import Site
from tiphys.errors import DefinitionError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["check_pod"]


def check_pod(given: Mapping[str, object], what: str, site: Site) -> str:
    """Part of a pod's spec as JSON text.

    Raises DefinitionError: TIP103 for a field that a pod does not have, TIP105 for a value of another type, TIP119 for
    what is no JSON.
    """
    types = table()
    try:
        text = json.dumps(_plain(given), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            "TIP119",
            f"{what} cannot be written: {error}",
            where=str(site),
            fix="give what Kubernetes has there: mappings, lists, text, numbers",
        ) from error
    read = cast("Json", json.loads(text))
    for misfit in decode(read, types.fields(types.objects["/v1/Pod"])["spec"])[1]:
        place = written(misfit.path)
        if misfit.kind == "unknown":
            if str(misfit.path[-1]).startswith("$"):  # a directive of a patch
                continue
            raise UnknownNameError(
                "TIP103",
                f"{what}: a pod has no field {place}.{did_you_mean(str(misfit.path[-1]), misfit.known)}",
                where=str(site),
                cause=f"fields are: {', '.join(sorted(misfit.known))}",
                fix="write the field as the Kubernetes API has it",
            )
        if "{{" in str(_at(read, misfit.path)):  # it is one of these when Argo has put its value in
            continue
        raise DefinitionError(
            "TIP105", f"{what}: {place}: {misfit.message}", where=str(site), fix="give a value of that type"
        )
    return text


def _at(value: Json, path: Path) -> Json:
    for step in path:
        value = value[step] if isinstance(value, dict | list) else value  # type: ignore[index]
    return value


def _plain(value: object) -> object:
    """Objects of Hera's (an Affinity) as they are written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(exclude_none=True, by_alias=True, mode="json")
