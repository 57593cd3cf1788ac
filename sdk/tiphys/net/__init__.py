"""HTTP/1.1 over asyncio, and the bytes of protobuf: knows no model and no workflow.

Parsing is llhttp's (Node.js's parser, through ``httptools``): strict about what request smuggling lives on
(two lengths, length and chunks, bare line feeds). What is here is only what a parser does not do: limits,
timeouts, keep-alive, draining.
"""

from __future__ import annotations

from tiphys.net.message import HttpRequest, HttpResponse, error_response
from tiphys.net.server import HttpLimits, HttpServer

__all__ = ["HttpLimits", "HttpRequest", "HttpResponse", "HttpServer", "error_response"]
