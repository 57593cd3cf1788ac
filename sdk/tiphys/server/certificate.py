"""A certificate of the server's own. ``argo`` and ``kubectl`` send a token over TLS only, on the loopback, too.

It signs itself, and the kubeconfig names it as what to trust.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.reference import contents
from tiphys.store.files import replacing

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["own_certificate"]

_VALID = datetime.timedelta(days=397)  # the longest that browsers take
_RENEWED = datetime.timedelta(days=30)  # so long before its end


def own_certificate(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """The files of a certificate for these names and addresses, and of its key, which its owner alone can read. One
    that is there is used until shortly before its end.

    Raises StoreError where they cannot be written, ImportError without the package ``cryptography``.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in sorted(set(names))])
    both = folder / "server.crt", folder / "server.key"
    if all(path.is_file() for path in both):
        try:
            there = x509.load_pem_x509_certificate(contents(both[0]))
            found = there.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            if found == alternatives and there.not_valid_after_utc - now > _RENEWED:
                return both
        except (ValueError, x509.ExtensionNotFound):
            pass  # it is damaged: another takes its place
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tiphys server")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for path, content in ((both[1], secret), (both[0], made.public_bytes(serialization.Encoding.PEM))):
        with replacing(path, private=True) as stream:
            stream.write(content)
    return both


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)
