"""Who may ask a balancer, and that nobody listens in: TLS, and a token that each request brings."""

from __future__ import annotations

import hmac
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import ServingError

if TYPE_CHECKING:
    from tiphys.net import HttpRequest

__all__ = ["NO_TOKEN", "Guard"]

NO_TOKEN = "a token is needed: Authorization: Bearer TOKEN"
"""What is told to whom a balancer does not answer."""


@dataclass(frozen=True)
class Guard:
    """``tls``: None is plain HTTP. ``token``: a request has it as ``Authorization: Bearer TOKEN`` (RFC 6750); empty:
    anybody may ask. ``pem``: key and certificate, for gRPC, which has a TLS of its own."""

    tls: ssl.SSLContext | None = None
    token: str = field(default="", repr=False)
    pem: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @classmethod
    def of_files(cls, certificate: str = "", key: str = "", token: str = "") -> Guard:
        """From files: a certificate with its chain and its key, both in PEM (they may be in one file), and a token.
        Raises ServingError TIP529 for one that cannot be read or is not what it should be."""
        if key and not certificate:
            raise _unreadable(key, "a key belongs to a certificate")
        context = pem = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            try:
                context.load_cert_chain(certificate, key or None)
                pem = Path(key or certificate).read_bytes(), Path(certificate).read_bytes()
            except (OSError, ValueError) as error:  # an SSLError is one
                raise _unreadable(key or certificate, str(error)) from None
        secret = ""
        if token:
            try:
                secret = Path(token).read_text("ascii").strip()
            except (OSError, ValueError) as error:
                raise _unreadable(token, str(error)) from None
            if not secret or not secret.isprintable() or " " in secret:
                raise _unreadable(token, "a token is one word")
        return cls(context, secret, pem)

    def admits(self, request: HttpRequest) -> bool:
        """Whether a request may be answered."""
        return self.knows(request.token())

    def knows(self, token: str) -> bool:
        """Whether it is the token, or none is needed."""
        return not self.token or hmac.compare_digest(token.encode(), self.token.encode())


def _unreadable(file: str, why: str) -> ServingError:
    return ServingError(
        "TIP529",
        "What protects the address cannot be read.",
        where=file,
        cause=why,
        fix="Give a certificate and its key in PEM, and a file with a token.",
    )
