"""An address that is held for a program which binds it by itself.

Who holds it listens there, too. As long as the program does, every connection is the program's; while it does not, they
come to who holds the address, and none is refused. The kernel chooses, by a program of two numbers (socket(7),
SO_ATTACH_REUSEPORT_CBPF): the second socket of the address, and without a second one the first.
"""

from __future__ import annotations

import ctypes
import socket
import struct

__all__ = ["hold_address", "prefer_others"]

_ATTACH = 51  # SO_ATTACH_REUSEPORT_CBPF: Python has no name for it
_RETURN = 0x06  # BPF_RET | BPF_K


def hold_address(host: str, port: int) -> socket.socket:
    """A socket that is bound there, alone, and lets programs of this user bind there, too. It does not listen. Raises
    OSError."""
    family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind(address)  # while others may not be there
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        held.close()
        raise
    return held


def prefer_others(held: socket.socket) -> bool:
    """From now on it gets, when it listens, what comes while nobody else listens at its address. False where the kernel
    cannot do that: then it must not listen."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 1), 8)
    try:
        held.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("@HP", 1, ctypes.addressof(code)))
    except OSError:
        return False
    return True
