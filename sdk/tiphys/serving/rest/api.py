"""The REST API: paths to actions (http_rest_api_handler.cc and http_rest_api_util.cc say what it does)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING

from tiphys.net import HttpRequest, HttpResponse, error_response
from tiphys.net.compressed import unpacked
from tiphys.serving.model.inference import asked_version
from tiphys.serving.model.manager import Manager
from tiphys.serving.model.servable import DEFAULT_SIGNATURE, Code, ModelError, Signature, Tensor
from tiphys.serving.rest import examples, metadata, open_inference, read, write
from tiphys.serving.rest.kserve import kserve_answer
from tiphys.serving.rest.lane import HUGE, Lane
from tiphys.serving.rest.metrics import ServerMetrics

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["RestApi"]

_CALL = re.compile(
    r"(?i:/v1/models/)([^/:]+)(?:(?i:/versions/)(\d+)|(?i:/labels/)([^/:]+))?:((?i:classify|regress|predict))",
    re.ASCII,
)
_ABOUT = re.compile(
    r"(?i:/v1/models)(?:/([^/:]+))?(?:(?i:/versions/)(\d+)|(?i:/labels/)([^/:]+))?(?:/((?i:metadata)))?",
    re.ASCII,
)
# what libevent, TensorFlow Serving's HTTP library, says about paths that nobody handles
_NOT_FOUND = b"""<HTML><HEAD>
<TITLE>404 Not Found</TITLE>
</HEAD><BODY>
<H1>Not Found</H1>
</BODY></HTML>
"""
_CARE = 30  # so much more than others costs a body that is read with care
_ORIGIN = re.compile(rb"https?://")


class RestApi:
    """Answers requests. ``timeout`` is --rest_api_timeout_in_ms in seconds; None waits for ever. ``kserve``: which
    models there are and whether they are ready is told as KServe's V1 has it."""

    def __init__(
        self,
        manager: Manager,
        *,
        timeout: float | None = 30.0,
        cors: bool = False,
        metrics_path: str = "/monitoring/prometheus/metrics",
        max_body_bytes: int = 128 * 1024 * 1024,
        kserve: bool = False,
    ) -> None:
        self.manager = manager
        self.timeout = timeout
        self.metrics = ServerMetrics()
        self.metrics_path = metrics_path
        self.max_body_bytes = max_body_bytes
        self.kserve = kserve
        self.lane = Lane()
        self._cors = (
            (
                (b"Access-Control-Allow-Origin", b"*"),
                (b"Access-Control-Allow-Methods", b"POST, GET"),
                (b"Access-Control-Allow-Headers", b"Content-Type"),
            )
            if cors
            else ()
        )

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        path = request.path
        if path == self.metrics_path:
            return HttpResponse(200, self.metrics.page(self.manager), "text/plain")
        if path[:4].lower() != "/v1/":
            if (asked := open_inference.path_of(path)) is not None:
                return self._open(request, asked)
            return HttpResponse(404, _NOT_FOUND, "text/html")
        if request.method == "OPTIONS":  # whether CORS is on or off, as http_server.cc has it
            known = _ORIGIN.search(request.header(b"origin") or b"") is not None
            return HttpResponse(200 if known else 400, b"", headers=self._cors)
        if request.method == "POST":
            return self._call(request, path)
        try:
            if request.method == "GET" and self.kserve and (told := kserve_answer(path, self.manager)):
                return HttpResponse(200, told, headers=self._cors)
            if request.method == "GET" and (match := _ABOUT.fullmatch(path)):
                return HttpResponse(200, self._about(match), headers=self._cors)
            raise ModelError(Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {path}")
        except ModelError as error:
            return self._error(error)

    def _error(self, error: ModelError) -> HttpResponse:
        response = error_response(error.code.http, error.message)
        response.headers = self._cors
        return response

    # ---- status and metadata
    def _about(self, match: re.Match[str]) -> bytes:
        if match[1] is None:
            raise ModelError(Code.INVALID_ARGUMENT, "Missing model name in request.")
        name, number, label = self._model(match)
        if label:
            number = self.manager.resolve_label(name, label)
        if match[4] is None:
            return metadata.status(self.manager.status(name, number))
        with self.manager.use(name, number) as (version, runner):
            return metadata.metadata(name, version.number, runner.servable.signatures)

    def _model(self, match: re.Match[str]) -> tuple[str, int | None, str]:
        """The name and version that a path asks for, or the label."""
        name = metadata.model_name(match[1])
        if match[2] is not None:
            number = int(match[2])
            if number >= 2**63:
                raise ModelError(Code.INVALID_ARGUMENT, f"Failed to convert version: {match[2]} to numeric.")
            return name, number, ""
        return name, None, metadata.model_name(match[3]) if match[3] is not None else ""

    # ---- predict, classify, regress
    async def _call(self, request: HttpRequest, path: str) -> HttpResponse:
        try:
            match = _CALL.fullmatch(path)
            # the pattern ignores case, the choice of the method does not: so does TensorFlow Serving's
            if match is None or match[4] not in ("predict", "classify", "regress"):
                raise ModelError(Code.INVALID_ARGUMENT, f"Malformed request: POST {path}")
            with self.metrics.counted(self.manager, metadata.model_name(match[1]), match[4].capitalize()):
                body = await self._sent(request)
                asked = self._predict if match[4] == "predict" else self._examples
                return HttpResponse(200, await asked(match, body), headers=self._cors)
        except ModelError as error:
            return self._error(error)

    async def _predict(self, match: re.Match[str], body: bytes) -> bytes:
        document, asked = None, ""
        if len(body) < HUGE:
            document = await self._document(body)
            asked = read.signature_name(document)
        name, number, label = self._model(match)

        async def ask(version: int | None) -> tuple[str, Mapping[str, Tensor]]:
            with self.manager.use(name, version) as (_, runner):
                signatures, key = runner.servable.signatures, asked
                if document is not None:
                    layout, inputs = await self.lane.do(
                        read.predict_inputs,
                        document,
                        _signature(signatures, asked).inputs,
                        asked,
                        size=len(body),
                    )
                else:
                    wanted = {each: {**signature.inputs} for each, signature in signatures.items()}
                    key, layout, inputs = await self.lane.do(
                        read.whole, body, wanted, size=len(body), apart=True
                    )
                started = time.perf_counter()
                outputs = await runner.run(key or DEFAULT_SIGNATURE, inputs, self.timeout)
                self.metrics.runtime(name, time.perf_counter() - started)
            return layout, outputs

        layout, outputs = await self.manager.answered(name, number, label, ask)
        rows = sum(len(tensor.values) for tensor in outputs.values())
        render = write.predictions if layout == read.ROW else write.outputs
        return await self.lane.do(render, outputs, size=rows * 8, apart=True)

    # ---- the Open Inference Protocol
    def _open(self, request: HttpRequest, asked: re.Match[str]) -> HttpResponse | Awaitable[HttpResponse]:
        if request.method == "POST" and open_inference.is_inference(asked):
            return self._inferred(request, asked)
        try:
            if request.method != "GET" or open_inference.is_inference(asked):
                raise ModelError(Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {request.path}")
            status, document = open_inference.about(asked, self.manager)
        except ModelError as error:
            return self._error(error)
        return HttpResponse(status, json.dumps(document).encode(), headers=self._cors)

    async def _inferred(self, request: HttpRequest, asked: re.Match[str]) -> HttpResponse:
        try:
            with self.metrics.counted(self.manager, open_inference.model_of(asked)[0], "Infer"):
                return HttpResponse(200, await self._infer(request, asked), headers=self._cors)
        except ModelError as error:
            return self._error(error)

    async def _infer(self, request: HttpRequest, asked: re.Match[str]) -> bytes:
        name, version = open_inference.model_of(asked)
        number, label = asked_version(self.manager, name, version)
        body = await self._sent(request)
        document = await self._document(body)
        wanted = await self.lane.do(open_inference.inference_request, document, size=len(body))

        async def ask(number: int | None) -> tuple[int, Mapping[str, Tensor]]:
            with self.manager.use(name, number) as (found, runner):
                signature = _signature(runner.servable.signatures, wanted.signature)
                inputs = await self.lane.do(wanted.tensors, signature, size=len(body))
                return found.number, await runner.run(wanted.signature, inputs, self.timeout)

        answering, outputs = await self.manager.answered(name, number, label, ask)
        rows = sum(len(tensor.values) for tensor in outputs.values())
        return await self.lane.do(
            open_inference.inference_answer, name, answering, wanted, outputs, size=rows * 8
        )

    async def _examples(self, match: re.Match[str], body: bytes) -> bytes:
        document = await self._document(body)
        asked = read.signature_name(document)
        batch = await self.lane.do(examples.read, document, size=len(body))
        name, number, label = self._model(match)

        async def ask(version: int | None) -> bytes:
            with self.manager.use(name, version) as (_, runner):
                key = asked or DEFAULT_SIGNATURE
                call = examples.Classify if match[4] == "classify" else examples.Regress
                plan = call(key, runner.servable.signatures)
                outputs = await runner.run(key, {plan.input: batch}, self.timeout)
            return plan.answer(outputs, batch.shape[0])

        return await self.manager.answered(name, number, label, ask)

    async def _document(self, body: bytes) -> JsonObject:
        """The request's document. Raises ModelError INVALID_ARGUMENT."""
        document = await self.lane.do(read.parse_fast, body, size=len(body))
        if document is None:
            document = await self.lane.do(read.parse_with_care, body, size=len(body) * _CARE)
        return document

    def close(self) -> None:
        """End what works beside the loop."""
        self.lane.close()

    async def _sent(self, request: HttpRequest) -> bytes:
        """The body of a request. Raises ModelError INVALID_ARGUMENT."""
        if (request.header(b"content-encoding") or b"").lower() != b"gzip":
            return request.body
        try:  # it leaves the interpreter's lock to others
            return await asyncio.to_thread(unpacked, request.body, "gzip", self.max_body_bytes)
        except ValueError as error:
            raise ModelError(Code.INVALID_ARGUMENT, f"Failed to uncompress the request: {error}") from None
        except OverflowError as error:
            raise ModelError(Code.INVALID_ARGUMENT, f"Request body is {error}.") from None


def _signature(signatures: Mapping[str, Signature], asked: str) -> Signature:
    name = asked or DEFAULT_SIGNATURE
    if name not in signatures:
        raise read.no_signature(name)
    return signatures[name]
