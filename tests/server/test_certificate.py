"""The certificate, judged by OpenSSL: clients that trust it reach the server under its names, and under no other."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from tiphys.server.certificate import own_certificate


def _shaken(files: tuple[Path, Path], name: str) -> None:
    """A TLS handshake of a client that trusts the certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    client = ssl.create_default_context(cafile=str(files[0]))
    near, far = socket.socketpair()

    def answer() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except (ssl.SSLError, OSError):
            far.close()

    other = threading.Thread(target=answer)
    other.start()
    try:
        client.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        other.join()


def test_it_is_good_for_its_names_alone(tmp_path: Path) -> None:
    files = own_certificate(tmp_path, ["localhost", "127.0.0.1", "[::1]", "laptop.example"])
    for name in ("localhost", "127.0.0.1", "::1", "laptop.example"):
        _shaken(files, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shaken(files, "evil.example")
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]


def test_it_stays_while_it_is_good(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, ["localhost"])[0].read_bytes()
    assert own_certificate(tmp_path, ["localhost"])[0].read_bytes() == first
    second = own_certificate(tmp_path, ["localhost", "other"])[0].read_bytes()
    assert second != first
    (tmp_path / "server.crt").write_bytes(b"damaged")
    assert own_certificate(tmp_path, ["localhost", "other"])[0].read_bytes() not in (
        first,
        second,
        b"damaged",
    )
