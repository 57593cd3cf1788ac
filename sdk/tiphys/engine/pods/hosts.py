"""``/etc/hosts`` of a pod, as the kubelet writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.pod_types import HostAlias


__all__ = ["hosts_file"]

# two names of one address, as in every pod
_LINES = (
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def hosts_file(ip: str, hostname: str, aliases: Sequence[HostAlias]) -> str:
    """The text of the file: what every pod has, its own name, then its ``hostAliases`` in their order."""
    lines = [*_LINES, f"{ip}\t{hostname}"]
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
    for alias in aliases:
        names = "\t".join(str(name) for name in alias.get("hostnames") or [])
        lines.append(f"{alias.get('ip')}\t{names}")
    return "\n".join(lines) + "\n"
