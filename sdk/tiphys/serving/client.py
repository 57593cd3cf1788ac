"""A small client of TensorFlow Serving's REST API: the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from tiphys.errors import ServingError

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["ServingClient", "VersionStatus"]

_COUNTERS = "/monitoring/prometheus/metrics"


class VersionStatus(NamedTuple):
    """One version of a model: ``state`` is START, LOADING, AVAILABLE, UNLOADING or END."""

    version: int
    state: str
    error_code: str
    error_message: str


def _trusting(certificate: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificate or None)
    except (OSError, ValueError) as error:
        raise ServingError(
            "TIP524", f"{certificate} is no certificate.", cause=str(error), fix="Give a file in PEM."
        ) from None


class ServingClient:
    """Asks one model at one address. Keeps its connection; use one client a thread.

    Parameters
    ----------
    url:
        ``http://host:port``, or ``https://`` where the server has TLS.
    model:
        The model's name.
    version, label:
        Ask this version, or the one with this label; neither: the newest.
    timeout:
        Seconds for a connection and for each answer.
    token:
        What the server wants of who asks; empty: nothing.
    certificate:
        A file in PEM: the server's certificate, or of who signed it, where the system does not know it.

    Every call raises ServingError: TIP520 no connection, TIP521 the server refused (its words are the cause),
    TIP522 no answer in time, TIP523 the answer is not what it should be.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        token: str = "",
        certificate: str = "",
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServingError(
                "TIP524", f"{url!r} is not the address of a model server.", fix="Write http://host:port."
            )
        self.url = url.rstrip("/")
        self.model = model
        self.timeout = timeout
        path = parts.path.rstrip("/")
        self._model_path = f"{path}/v1/models/{quote(model, safe='')}"
        if version is not None:
            self._path = f"{self._model_path}/versions/{version}"
        elif label is not None:
            self._path = f"{self._model_path}/labels/{quote(label, safe='')}"
        else:
            self._path = self._model_path
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                parts.hostname, parts.port or 443, timeout=timeout, context=_trusting(certificate)
            )

    # ---- calls
    def predict(
        self, *, instances: Sequence[object] | None = None, inputs: object = None, signature: str = ""
    ) -> Any:
        """Predictions for ``instances`` (a list with one entry a row), or outputs for ``inputs`` (columns).

        Values are numbers, strings, nested lists, or objects with a name for each input. Bytes go as
        ``{"b64": text}``.
        """
        if (instances is None) == (inputs is None):
            raise ServingError("TIP524", "Give either instances or inputs.")
        body: dict[str, object] = {"signature_name": signature} if signature else {}
        body["instances" if inputs is None else "inputs"] = instances if inputs is None else inputs
        key = "predictions" if inputs is None else "outputs"
        return self._field(self._ask("POST", f"{self._path}:predict", body), key)

    def classify(self, examples: Sequence[Mapping[str, object]], *, signature: str = "") -> Any:
        """Labels and scores for each example."""
        return self._examples("classify", examples, signature)

    def regress(self, examples: Sequence[Mapping[str, object]], *, signature: str = "") -> Any:
        """A number for each example."""
        return self._examples("regress", examples, signature)

    def status(self) -> list[VersionStatus]:
        """The versions that the server knows."""
        document = self._ask("GET", self._path)
        if document.get("ready") is True:  # KServe's V1 says no more there
            document = self._ask("GET", f"{self._path}/versions")
        rows = self._field(document, "model_version_status")
        try:
            return [
                VersionStatus(
                    int(row["version"]),
                    row["state"],
                    row["status"]["error_code"],
                    row["status"]["error_message"],
                )
                for row in rows
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self._unexpected(repr(error)) from error

    def metadata(self) -> JsonObject:
        """Name and version of the model, and its signatures."""
        return self._ask("GET", f"{self._path}/metadata")

    def counters(self) -> str:
        """What the server counted, as Prometheus' text: of all its models (:mod:`tiphys.serving.counted` reads it)."""
        status, text = self._send("GET", _COUNTERS, None)
        if status != 200:
            raise self._unexpected(f"HTTP {status} of {_COUNTERS}")
        return text.decode("utf-8", "replace")

    def wait_ready(self, timeout: float = 60.0, *, poll_seconds: float = 0.05) -> VersionStatus:
        """Wait until a version is AVAILABLE. Raises ServingError TIP525 with the last reason."""
        deadline = time.monotonic() + timeout
        reason = "no answer"
        while True:
            try:
                for row in reversed(self.status()):
                    if row.state == "AVAILABLE":
                        return row
                    reason = f"version {row.version} is {row.state} {row.error_message}".rstrip()
            except ServingError as error:
                reason = error.cause or error.message
            if time.monotonic() >= deadline:
                raise ServingError(
                    "TIP525",
                    f"Model {self.model} did not become available within {timeout:g} s.",
                    where=self.url,
                    cause=reason,
                )
            time.sleep(poll_seconds)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- the wire
    def _examples(self, method: str, examples: Sequence[Mapping[str, object]], signature: str) -> Any:
        body: dict[str, object] = {"signature_name": signature} if signature else {}
        body["examples"] = list(examples)
        return self._field(self._ask("POST", f"{self._path}:{method}", body), "results")

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> JsonObject:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        status, text = self._send(method, path, data)
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if status != 200:
            told = document.get("error") if isinstance(document, dict) else None
            raise ServingError(
                "TIP521",
                f"Model {self.model} refused the request: HTTP {status}.",
                where=f"{method} {self.url}{path}",
                cause=str(told or text[:500].decode("utf-8", "replace")),
            )
        if not isinstance(document, dict):
            raise self._unexpected(text[:200].decode("utf-8", "replace"))
        return document

    def _send(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes]:
        headers = {**self._headers, **({"Content-Type": "application/json"} if data is not None else {})}
        where = f"{method} {self.url}{path}"
        reused = self._connection.sock is not None
        for last in (not reused, True):
            try:
                self._connection.request(method, path, data, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except TimeoutError as error:
                self._connection.close()
                raise ServingError(
                    "TIP522", f"No answer from model {self.model} within {self.timeout:g} s.", where=where
                ) from error
            except (OSError, http.client.HTTPException) as error:
                # an idle connection may have been closed by the server: once more on a fresh one
                self._connection.close()
                if last:
                    raise ServingError(
                        "TIP520",
                        f"Model {self.model} cannot be reached.",
                        where=where,
                        cause=str(error) or type(error).__name__,
                        fix="Is the service running? Its address is in the run's outputs.",
                    ) from error
        raise AssertionError("unreachable")

    def _field(self, document: JsonObject, key: str) -> Any:
        if key not in document:
            raise self._unexpected(f"no {key!r} in it")
        return document[key]

    def _unexpected(self, cause: str) -> ServingError:
        return ServingError(
            "TIP523",
            f"The answer is not that of a model server (model {self.model}).",
            where=self.url,
            cause=cause,
        )
