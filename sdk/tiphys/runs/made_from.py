"""What a run is made from besides its Workflow: the code of its steps, the lock file, the commit, the environment.

Told by annotations of the run (``tiphys.dev/from-code``, …), written when it begins: what is compiled has none of them
and stays the same from commit to commit. Each is found by reading files; no program is called.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys._version import __version__
from tiphys.argo.made_from import MADE_FROM
from tiphys.compiler.project import import_folders
from tiphys.lazy import regex
from tiphys.store.files import clear, write_atomic

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.store import Store

__all__ = [
    "ENVIRONMENTS",
    "LOCKS",
    "annotated",
    "code_digests",
    "environment",
    "made_from",
    "with_annotations",
]

LOCKS = (
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "pdm.lock",
    "requirements.lock",
    "requirements-dev.lock",
    "conda-lock.yml",
    "requirements.txt",
)
"""Lock files, the first that is there counts."""
ENVIRONMENTS = "environments"
"""The folder of a store with the lists of packages, ``DIGEST.txt``."""
_MODULE = regex(r"[A-Za-z_]\w*(?:\.\w+)*(?::\w+)?")
_INSTALLED = regex(r"([^-]+)-([^-]+)\.(?:dist|egg)-info")
_COMMIT = regex(r"[0-9a-f]{40,64}")


def annotated(workflow: Workflow, project: Path | None, store: Store | None = None) -> Workflow:
    """The Workflow with what it is made from among its annotations.

    ``project``: the folder that its steps import from. ``store``: where the list of installed packages is kept, by its
    digest (``environments/DIGEST.txt``). Raises StoreError where that cannot be written.
    """
    found = made_from(workflow, project)
    if store is not None:
        digest, listed = environment()
        found["environment"] = digest
        _keep(store, digest, listed)
    return with_annotations(workflow, found)


def with_annotations(workflow: Workflow, found: Mapping[str, str]) -> Workflow:
    """The Workflow with what :func:`made_from` found, in place of what an earlier run had."""
    metadata = workflow.get("metadata") or {}
    before = metadata.get("annotations") or {}
    kept = {name: text for name, text in before.items() if not name.startswith(MADE_FROM)}
    annotations = {**kept, **{MADE_FROM + name: text for name, text in found.items()}}
    return {**workflow, "metadata": {**metadata, "annotations": annotations}}


def made_from(workflow: Workflow, project: Path | None) -> dict[str, str]:
    """``tiphys``: its version. ``code``: ``NAME@DIGEST`` of each package or module of the project that a step names,
    with spaces between. ``lock``: ``FILE@DIGEST``. ``git``: the commit that is checked out. What there is none of is
    left out."""
    found = {"tiphys": __version__}
    if project is None:
        return found
    if code := code_digests(workflow, project):
        found["code"] = " ".join(f"{name}@{digest}" for name, digest in code.items())
    for name in LOCKS:
        if (project / name).is_file():
            found["lock"] = f"{name}@{_short((project / name).read_bytes())}"
            break
    if commit := _commit(project):
        found["git"] = commit
    return found


def code_digests(workflow: Workflow, project: Path) -> dict[str, str]:
    """For each top-level package or module of the project that a template names in a command, an argument or a
    manifest: a digest of its Python files, names and contents, comments as well."""
    names = {
        match.group().partition(".")[0].partition(":")[0]
        for text in _texts((workflow.get("spec") or {}).get("templates") or [])
        for match in _MODULE.finditer(text)
    }
    found: dict[str, str] = {}
    for name, folder in itertools.product(sorted(names), import_folders(project)):
        place = folder / name
        if (place / "__init__.py").is_file():
            files = sorted(path for path in place.rglob("*.py") if path.is_file())
        elif place.with_suffix(".py").is_file():
            files = [place.with_suffix(".py")]
        else:
            continue
        total = hashlib.sha256()
        for path in files:
            content = path.read_bytes()
            total.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
        found[name] = total.hexdigest()[:16]
    return found


def environment() -> tuple[str, str]:
    """A name for the Python and the packages that are installed, ``python3.11-DIGEST``, and their list, one on a
    line."""
    places = {path for path in map(Path, sys.path) if path.name in ("site-packages", "dist-packages")}
    names = {
        "==".join(match.groups()).lower()
        for place in places
        if place.is_dir()
        for entry in place.iterdir()
        if (match := _INSTALLED.fullmatch(entry.name))
    }
    python = ".".join(map(str, sys.version_info[:3]))
    listed = "\n".join([f"python=={python}", *sorted(names)]) + "\n"
    return f"python{python}-{_short(listed.encode())}", listed


def _keep(store: Store, digest: str, listed: str) -> None:
    path = store.root / ENVIRONMENTS / f"{digest}.txt"
    if not path.is_file():
        with clear(path.parent, "make"):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, listed.encode())


def _texts(value: object) -> Iterator[str]:
    """The words of commands and arguments, and of manifests, which are JSON or YAML."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("command", "args", "manifest"):
                yield inner if isinstance(inner, str) else json.dumps(inner)
            elif isinstance(inner, Mapping | list):
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _commit(project: Path) -> str:
    """The commit of the repository that the folder is in, as its files tell; empty where they do not."""
    for folder in (project, *project.parents):
        if not (folder / ".git").exists():
            continue
        try:
            git = folder / ".git"
            if git.is_file():  # of a worktree or a submodule
                git = (folder / git.read_text().partition("gitdir:")[2].strip()).resolve()
            head = (git / "HEAD").read_text().strip()
            if not head.startswith("ref:"):
                return head if _COMMIT.fullmatch(head) else ""
            ref = head.partition(":")[2].strip()
            common = git / "commondir"
            base = (git / common.read_text().strip()).resolve() if common.is_file() else git
            return _of_ref(base, ref)
        except (OSError, ValueError):
            return ""
    return ""


def _of_ref(git: Path, ref: str) -> str:
    if (git / ref).is_file():
        found = (git / ref).read_text().strip()
        return found if _COMMIT.fullmatch(found) else ""
    for line in (git / "packed-refs").read_text().splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
