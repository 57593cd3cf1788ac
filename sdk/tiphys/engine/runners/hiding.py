"""What of this machine a step in a sandbox must not see, although the folders around it are bound."""

from __future__ import annotations

import functools
import os
import pwd
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from tiphys.lazy import regex

__all__ = ["homes", "not_for_all", "parts_of_home", "without_passwords"]

_ROOMS = (
    "/",
    "/usr",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/dev",
    "/proc",
    "/sys",
    "/opt",
    "/var",
    "/run",
    "/tmp",
)
_PASSWORD = regex(r"(?<=://)[^/\s]*@|^[^/\s]*@")


@functools.cache
def homes() -> tuple[str, ...]:
    """The folders in which people of this machine keep what is theirs."""
    own = [os.path.expanduser("~")]
    for number in {os.getuid(), os.geteuid()}:
        try:
            own.append(pwd.getpwuid(number).pw_dir)
        except KeyError:
            continue
    real = {path for each in own for path in (os.path.abspath(each), os.path.realpath(each))}
    return tuple(sorted({"/home", "/root", *(path for path in real if path not in _ROOMS)}))


@functools.cache
def not_for_all(folder: str, *, below: bool = True) -> tuple[str, ...]:
    """Files and folders in ``folder`` that not everyone on this machine may read: keys and passwords. ``below``: also
    those further down."""
    found = []
    left = [folder]
    while left:
        try:
            entries = list(os.scandir(left.pop()))
        except OSError:
            continue
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = 0o005 if stat.S_ISDIR(mode) else 0o004
            if mode & wanted != wanted:
                found.append(entry.path)
            elif below and stat.S_ISDIR(mode):
                left.append(entry.path)
    return tuple(found)


def parts_of_home(paths: Iterable[str]) -> list[str]:
    """Folders that a step needs to import from; of one that is a home, or above one, what can be imported."""
    found = []
    for path in map(os.path.abspath, paths):
        if not any(f"{home}/".startswith(f"{path.rstrip('/')}/") for home in homes() if os.path.isdir(home)):
            found.append(path)
        elif path in homes():
            for entry in Path(path).glob("[!.]*"):
                if entry.suffix == ".py" or (entry / "__init__.py").is_file():
                    found.append(str(entry))
    return found


def without_passwords(env: Mapping[str, str]) -> dict[str, str]:
    """An environment of this machine without the user and password in the addresses of proxies."""
    return {
        name: _PASSWORD.sub("", value) if name.lower().endswith("_proxy") else value
        for name, value in env.items()
    }
