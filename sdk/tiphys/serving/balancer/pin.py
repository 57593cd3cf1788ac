"""All requests that name no version of a model get the same one, whichever replica they come to.

Each replica takes up a new version when it has loaded it, one before the other. Where a balancer names the version, it
is another for all of them at once: nobody sees an old answer after a new one. Where several versions answer (those of
the registry's aliases, one after the other, or by weights), it names the generation of labels in which they are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from tiphys.net.protobuf import MOST, WireError, bytes_field, few_fields, int_field
from tiphys.serving.model.servable import ModelError
from tiphys.serving.rpc.inference_messages import asked_model
from tiphys.serving.rpc.messages import ModelSpec

__all__ = [
    "LABEL",
    "OPEN_VERBS",
    "PLACES",
    "VERBS",
    "VersionPin",
    "in_ascii",
    "labelled_places",
    "written_names",
]

PLACES = ("place", "open", "ending", "header")
"""What a pin names in a path: to who names nothing, to who does so by the Open Inference Protocol, and behind the label
of who names one; and the whole of it in one word, for :data:`tiphys.serving.rpc.frames.PIN_HEADER`."""
_HEADER = re.compile("([^/]+)/(?:versions/([0-9]{1,19})|labels/(@[0-9]{1,19}))")
LABEL = re.compile(r"[A-Za-z][^/:@]*")
"""An alias of the registry, and no generation of one."""
VERBS = (":predict", ":classify", ":regress", "/metadata")
OPEN_VERBS = ("/infer", "")  # of the Open Inference Protocol; nothing: what the model is
_CALLS = ("Predict", "Classify", "Regress", "GetModelMetadata")
_OPEN_CALLS = ("ModelInfer", "ModelMetadata")  # of the Open Inference Protocol: the version is a text


class VersionPin:
    """What the balancer names of the ``model``: a version, to who names none; or a generation, as the end of labels: it
    stands behind the label of who names one, and for who names nothing it is the label.

    ``active``: how many requests are on their way that were told of it.
    """

    def __init__(self, model: str, named: int | str) -> None:
        self.model, self.named, self.active = model, named, 0
        labelled = self._endings = isinstance(named, str)
        place = f"{'labels' if labelled else 'versions'}/{named}"
        self.names = {
            "place": place,
            "open": f"versions/{named}",
            "ending": str(named) if labelled else "",
            "header": f"{quote(model, safe='')}/{place}",
        }
        """What is named: of :data:`PLACES`."""
        self._spec = (
            bytes_field(4, str(named).encode()) if labelled else bytes_field(2, int_field(1, int(named)))
        )
        self._guard = threading.Lock()  # two balancers, of HTTP and of gRPC, have it
        self.models = models = written_names(model)
        self.paths = {
            f"/{api}/models/{each}{verb}": f"/{api}/models/{each}/{self.names[key]}{verb}"
            for api, key, verbs in (("v1", "place", VERBS), ("v2", "open", OPEN_VERBS))
            for each in models
            for verb in verbs
        }
        self._labelled = [re.compile(f"({place})({verbs})") for place, verbs in labelled_places(models)]

    @staticmethod
    @lru_cache(maxsize=16)
    def of_header(text: str) -> VersionPin | None:
        """From what a header says; None for what is none."""
        found = _HEADER.fullmatch(text)
        return VersionPin(unquote(found[1]), int(found[2]) if found[2] else found[3]) if found else None

    def __enter__(self) -> VersionPin:
        """For as long as a request is on its way."""
        with self._guard:
            self.active += 1
        return self

    def __exit__(self, *exception: object) -> None:
        with self._guard:
            self.active -= 1

    def target(self, target: str) -> str:
        """The target of a request, with the version, if it names none; with the generation."""
        path, mark, query = target.partition("?")
        if (found := self.paths.get(path)) is not None:
            return f"{found}{mark}{query}"
        for each in self._labelled if self._endings else ():
            if (labelled := each.fullmatch(path)) is not None:
                return f"{labelled[1]}{self.named}{labelled[2]}{mark}{query}"
        return target

    def message(self, method: str, data: bytes) -> bytes:
        """The message of a gRPC call, likewise. A message that cannot be read is left as it is."""
        call = method.rpartition("/")[2]
        if call in _OPEN_CALLS:
            return self._open(data)
        try:
            if call == "MultiInference":
                return self._tasks(memoryview(data))
            return self._named(data) if call in _CALLS else data
        except WireError:
            return data

    def _named(self, data: bytes) -> bytes:
        """A message whose first field is a ModelSpec."""
        spec = ModelSpec.read(memoryview(data))
        if spec.name != self.model or spec.version is not None:
            return data
        named = self._spec
        if spec.label is not None:
            if not self._endings or not LABEL.fullmatch(spec.label):
                return data
            named = bytes_field(4, f"{spec.label}{self.named}".encode())
        # of a field that comes twice readers merge the messages (protobuf, "Last One Wins" but for messages)
        return data + bytes_field(1, named)

    def _tasks(self, message: memoryview) -> bytes:
        """A MultiInferenceRequest: its tasks are the first field, its examples the second."""
        parts = []
        for field, value in few_fields(message, MOST):
            if isinstance(value, memoryview):
                parts.append(bytes_field(field, self._named(bytes(value)) if field == 1 else bytes(value)))
            else:
                parts.append(int_field(field, value))
        return b"".join(parts)

    def _open(self, data: bytes) -> bytes:
        try:
            model, version = asked_model(data)
        except ModelError:
            return data
        if model != self.model or (version and not (self._endings and LABEL.fullmatch(version))):
            return data
        return data + bytes_field(2, f"{version}{self.named}".encode())


def written_names(model: str) -> tuple[str, ...]:
    """How the name of a model may stand in a path."""
    return tuple(dict.fromkeys((model, quote(model, safe=""))))


def in_ascii(written: Iterable[str]) -> list[str]:
    """Those of them that the configuration of a program can have; a client has to quote the others."""
    return [each for each in written if each.isascii() and each.isprintable()]


def labelled_places(models: Iterable[str]) -> list[tuple[str, str]]:
    """Expressions of the paths that name a model and a label, in two parts; the label is the end of the first."""
    name = "|".join(map(re.escape, models))
    return [
        (f"/v1/models/(?:{name})/labels/{LABEL.pattern}", "|".join(VERBS)),
        (f"/v2/models/(?:{name})/versions/{LABEL.pattern}", "|".join(OPEN_VERBS)),
    ]
