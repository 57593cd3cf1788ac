"""Who created a run, and who did what to it last: labels, and what a node says that was resumed.

Source: workflow/creator of Argo 4.0, whose server tells it of users that it knows. Whoever has the server's own token
has no name; clients of the Kubernetes API label nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

from tiphys.server.users import OWNER

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import GivenObject, Workflow

    Labelled = TypeVar("Labelled", GivenObject, Workflow)

__all__ = ["ActorAction", "acted", "created_by", "resumed_by", "user_of"]

ActorAction: TypeAlias = Literal["Resume", "Retry", "Stop", "Suspend", "Terminate"]

_CREATOR = "workflows.argoproj.io/creator"
_ACTOR = "workflows.argoproj.io/actor"
_ACTION = "workflows.argoproj.io/action"
_LONGEST = 63
_OTHER = re.compile(r"[^-_.a-z0-9A-Z]")


def user_of(request: Request) -> str:
    """The name of the user who asks; empty for the owner, whom a server that is not shared has alone."""
    name = str(request.scope["tiphys.user"])
    return "" if name == OWNER.name else name


def created_by(given: Labelled, who: str) -> Labelled:
    """The object with the label of its creator, with that of nobody where he has no name. What was done to a run is
    not said of its copy, as Argo does."""
    metadata, own = given.get("metadata") or {}, (_CREATOR, _ACTOR, _ACTION)
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in own}
    if who:
        labels[_CREATOR] = _value(who)
    told = {**metadata, "labels": labels} if labels or "labels" in metadata else metadata
    return cast("Labelled", {**given, "metadata": told})


def acted(who: str, action: ActorAction) -> dict[str, str | None]:
    """How the labels of a run change when somebody does something to it."""
    return {_ACTOR: _value(who), _ACTION: action} if who else {}


def resumed_by(who: str) -> str:
    """What a node that waited says then, as Go prints the map."""
    return f"Resumed by: map[User:{who}]" if who else ""


def _value(who: str) -> str:
    """A name as the value of a label: what none can have becomes ``-``, and of a long one the end counts."""
    return _OTHER.sub("-", who)[-_LONGEST:].strip("-_.")
