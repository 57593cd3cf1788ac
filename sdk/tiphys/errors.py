"""The errors of Tiphys: one tree, each with a stable code, what, where, why and how to fix.

TiphysError
+-- DefinitionError     TIP1xx  the pipeline is written wrong (found before anything runs)
|   +-- UnknownNameError        it asks for an attribute that is not there (also an AttributeError)
+-- RefusedError        TIP2xx  the input or the feature is refused (exit code 2)
+-- RunError            TIP3xx  something failed while running
|   +-- UserCodeError   TIP35x  code of the user raised
+-- StoreError          TIP4xx  the local store, journal or an artifact
+-- ServingError        TIP5xx  model server, load balancer, client
+-- ClusterError        TIP6xx  Kubernetes or the Argo Server
+-- ComponentError      TIP7xx  data or training: raised inside a step
+-- TrainingServiceError TIP8xx the training service: a job, an algorithm, a pool
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "ClusterError",
    "ComponentError",
    "DefinitionError",
    "RefusedError",
    "RunError",
    "ServingError",
    "StoreError",
    "TiphysError",
    "TiphysWarning",
    "TrainingServiceError",
    "UnknownNameError",
    "UserCodeError",
    "did_you_mean",
    "redacted",
]

_PASSWORD = re.compile(r"(?<=://)([^\s/?#@:]*):[^\s/?#]*@")


def redacted(text: str) -> str:
    """A text without the passwords of the URLs in it: ``http://user:***@host``, as Go's net/http writes its errors."""
    return _PASSWORD.sub(r"\1:***@", text) if "://" in text else text


class TiphysError(Exception):
    """The root of the tree.

    Parameters
    ----------
    code:
        A stable identifier such as ``TIP201``; never reused for another meaning.
    message:
        What is wrong, in one sentence, naming the object.
    where:
        The place: ``file:line``, a YAML path, a step or a URL.
    cause:
        Why it is wrong, when the message does not say it already.
    fix:
        What to do about it.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, *, where: str = "", cause: str = "", fix: str = "") -> None:
        super().__init__(redacted(message))
        self.code = code
        self.message = redacted(message)
        self.where = redacted(where)
        self.cause = redacted(cause)
        self.fix = redacted(fix)

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.message}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.cause:
            lines.append(f"  cause: {self.cause}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by all fields: the default would call the class with the message alone."""
        return _rebuild, (type(self), self.code, self.message, self.where, self.cause, self.fix)


def _rebuild(
    kind: type[TiphysError], code: str, message: str, where: str, cause: str, fix: str
) -> TiphysError:
    return kind(code, message, where=where, cause=cause, fix=fix)


class DefinitionError(TiphysError):
    """The pipeline is written wrong: found when it is built, compiled or linted."""

    exit_code = 2


class TiphysWarning(UserWarning):
    """Something is dropped that was written: a code, and what becomes of it; it is shown at the line that wrote it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class UnknownNameError(DefinitionError, AttributeError):
    """An attribute that an object of the pipeline does not have; an AttributeError, so that ``hasattr``, ``getattr``
    with a default, mocks and notebooks get the answer they expect."""


class RefusedError(TiphysError):
    """An input or a feature is refused before anything runs."""

    exit_code = 2


class RunError(TiphysError):
    """Something failed while a workflow ran."""


class UserCodeError(RunError):
    """Code of the user raised; the original exception is ``__cause__``."""


class StoreError(TiphysError):
    """The local store, a journal or an artifact cannot be read or written."""


class ServingError(TiphysError):
    """A model server, the load balancer or a prediction client failed."""


class ClusterError(TiphysError):
    """Kubernetes or the Argo Server refused or could not be reached."""


class ComponentError(TiphysError):
    """Data or training is wrong: raised by the code inside a step."""


class TrainingServiceError(TiphysError):
    """The training service refuses or cannot do something, or does not answer."""


def did_you_mean(word: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Return ``" Did you mean 'x' or 'y'?"`` for near misses of ``word``, or an empty string."""
    import difflib  # slow to import; most programs misspell nothing

    near = difflib.get_close_matches(word, list(known), n=limit, cutoff=0.6)
    if not near:
        return ""
    return " Did you mean " + " or ".join(repr(name) for name in near) + "?"
