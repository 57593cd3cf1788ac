"""Where a file comes from that no step has made, or where one is to be put: object stores, the web, a repository, text.

Each is what Argo calls the location of an artifact (https://argo-workflows.readthedocs.io/en/latest/fields/#artifact).
A key or address may hold values: ``S3("data", compose("{day}/rows.csv", day=day))``; ``{workflow}`` in it is the name
of the run.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, cast

from tiphys.argo.paths import key_problem
from tiphys.compiler.line import Site, caller
from tiphys.dsl.composed import Raw, guard
from tiphys.dsl.files import FileValue, digest_arguments
from tiphys.dsl.literals import literal
from tiphys.dsl.names import check_object_name
from tiphys.dsl.pending import Pending
from tiphys.dsl.types import Field, check_argument, type_name
from tiphys.dsl.values import Expression, Input, LoopItem, Output, Value, workflow_name
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.step.files import DIGEST

if TYPE_CHECKING:
    from tiphys.argo.pod_types import (
        BasicAuth,
        GCSLocation,
        GitLocation,
        HTTPLocation,
        KeySelector,
        S3Location,
    )
    from tiphys.argo.types import Artifact
    from tiphys.dsl.cache import Cache

__all__ = [
    "GCS",
    "HTTP",
    "S3",
    "FileSource",
    "Git",
    "SourceValue",
    "Text",
    "by_place",
    "counted",
    "file_argument",
    "refuse_outside",
    "stored",
]

SecretKey = tuple[str, str]
"""The name of a Secret and a key in it."""

_BRACES = re.compile(r"\{(\w+)\}")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True, eq=False)
class FileSource:
    """A place of a file. ``version`` says which content is meant (an ETag, a version, a date), for caches: it is in
    their key, and changes nothing else."""

    site: Site = field(default_factory=caller, kw_only=True, repr=False)
    version: str = field(default="", kw_only=True)
    storable: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ()
    """The fields that say where it is, the one by which people know it first."""

    def __post_init__(self) -> None:
        for name in self.parts:
            value = getattr(self, name)
            if isinstance(value, Pending):
                value = value._as_value(self.site)
                object.__setattr__(self, name, value)
            if isinstance(value, Value):
                value._needs_text()
            elif isinstance(value, str):
                guard(value, type(self).__name__, self.site, name)
            else:
                raise _wrong(self, "TIP105", f"{name} is {value!r}", "give text or a value of the pipeline")
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.type == "SecretKey | None" and value is not None:
                self._check_secret(each.name, value)

    def _check_secret(self, name: str, value: object) -> None:
        if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, str) for v in value)):
            raise _wrong(
                self,
                "TIP105",
                f"{name} is {type(value).__name__}",
                f'name the Secret and its key, never the value: {name}=("s3", "{name}-key")',
            )
        check_object_name(value[0], "a Secret", self.site)
        if problem := key_problem(value[1]):
            raise _wrong(self, "TIP101", f"{value[1]!r} is no key of a Secret: {problem}", "correct it")

    def values(self) -> Iterator[Value]:
        """The values that its parts are made of."""
        for name in self.parts:
            value = getattr(self, name)
            if isinstance(value, Value):
                yield from value.leaves()

    def location(self, names: Mapping[str, Value]) -> Artifact:
        """Argo's words for it; ``names``: what ``{…}`` in a text stands for."""
        raise NotImplementedError

    def text(self, name: str, names: Mapping[str, Value]) -> str:
        """A part as Argo reads it. Raises DefinitionError (TIP103) for a name that is unknown."""
        value = getattr(self, name)
        if isinstance(value, Value):
            return value.tag()
        for word in _BRACES.findall(value):
            if word not in names:
                raise _wrong(
                    self,
                    "TIP103",
                    f"{{{word}}} in {name} names nothing.{did_you_mean(word, names)}",
                    f"names are: {', '.join(names)}; for a value of the pipeline write compose(…)",
                )
        return _BRACES.sub(lambda match: names[match[1]].tag(), value)

    def identity(self) -> str:
        """What says which content is meant, or empty."""
        return self.version


@dataclass(frozen=True, slots=True, eq=False)
class S3(FileSource):
    """An object of S3, or all objects below a key (a folder).

    Without ``bucket`` and ``endpoint``, ``S3(key="data/rows.csv")``, it lies in the artifact repository of the cluster,
    and of this machine in the store. ``access`` and ``secret`` name a Secret and its key: ``access=("s3",
    "access-key")``; without them the pod's own credentials count (``endpoint`` is ``s3.amazonaws.com`` unless said). An
    archive is handed on as it is, unless ``unpack``.
    """

    bucket: str | Value = ""
    key: str | Value = ""
    endpoint: str = field(default="", kw_only=True)
    region: str = field(default="", kw_only=True)
    access: SecretKey | None = field(default=None, kw_only=True)
    secret: SecretKey | None = field(default=None, kw_only=True)
    insecure: bool = field(default=False, kw_only=True)
    unpack: bool = field(default=False, kw_only=True)
    storable: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("key", "bucket", "endpoint", "region")

    def location(self, names: Mapping[str, Value]) -> Artifact:
        if (self.access is None) != (self.secret is None):
            raise _wrong(self, "TIP104", "it has one of access and secret", "give both, or none of them")
        place: S3Location = {"key": _key(self, names)}
        if (self.endpoint or self.region or self.access) and not self.bucket:
            raise _wrong(
                self,
                "TIP104",
                "it says how to reach a store, and no bucket",
                'write S3("bucket", "key", …); a key alone lies in the artifact repository of the cluster',
            )
        if self.bucket:  # Argo takes the bucket of its repository for one without an endpoint
            place["bucket"] = self.text("bucket", names)
            place["endpoint"] = self.text("endpoint", names) if self.endpoint else "s3.amazonaws.com"
            if self.access is None:
                place["useSDKCreds"] = True
        if self.region:
            place["region"] = self.text("region", names)
        if self.access is not None:
            place["accessKeySecret"] = _selector(self.access)
        if self.secret is not None:
            place["secretKeySecret"] = _selector(self.secret)
        if self.insecure:
            place["insecure"] = True
        return _as_is({"s3": place}, self.unpack)


@dataclass(frozen=True, slots=True, eq=False)
class GCS(FileSource):
    """An object of Google Cloud Storage, or all objects below a key. ``account``: the Secret and key that hold the JSON
    of a service account; without it the pod's own counts."""

    bucket: str | Value
    key: str | Value
    account: SecretKey | None = field(default=None, kw_only=True)
    unpack: bool = field(default=False, kw_only=True)
    storable: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("key", "bucket")

    def location(self, names: Mapping[str, Value]) -> Artifact:
        place: GCSLocation = {"bucket": self.text("bucket", names), "key": _key(self, names)}
        if self.account is not None:
            place["serviceAccountKeySecret"] = _selector(self.account)
        return _as_is({"gcs": place}, self.unpack)


@dataclass(frozen=True, slots=True, eq=False)
class HTTP(FileSource):
    """A file of the web. ``user`` and ``password``: Secrets and their keys."""

    url: str | Value
    user: SecretKey | None = field(default=None, kw_only=True)
    password: SecretKey | None = field(default=None, kw_only=True)
    unpack: bool = field(default=False, kw_only=True)
    parts: ClassVar[tuple[str, ...]] = ("url",)

    def __post_init__(self) -> None:
        super(HTTP, self).__post_init__()
        if isinstance(self.url, str) and not re.match(r"https?://[^/\s]", self.url):
            raise _wrong(self, "TIP105", f"{self.url!r} is no address", "write https://…")

    def location(self, names: Mapping[str, Value]) -> Artifact:
        place: HTTPLocation = {"url": self.text("url", names)}
        basic = {
            name: _selector(given)
            for name, given in (("usernameSecret", self.user), ("passwordSecret", self.password))
            if given is not None
        }
        if basic:
            place["auth"] = {"basicAuth": cast("BasicAuth", basic)}
        return _as_is({"http": place}, self.unpack)


@dataclass(frozen=True, slots=True, eq=False)
class Git(FileSource):
    """A repository, checked out as a folder at ``revision``: a commit, a branch or a tag. ``user`` and ``password``, or
    ``ssh_key``: Secrets and their keys."""

    repo: str | Value
    revision: str | Value = ""
    user: SecretKey | None = field(default=None, kw_only=True)
    password: SecretKey | None = field(default=None, kw_only=True)
    ssh_key: SecretKey | None = field(default=None, kw_only=True)
    parts: ClassVar[tuple[str, ...]] = ("repo", "revision")

    def location(self, names: Mapping[str, Value]) -> Artifact:
        place: GitLocation = {"repo": self.text("repo", names)}
        if self.revision:
            place["revision"] = self.text("revision", names)
        if self.user is not None:
            place["usernameSecret"] = _selector(self.user)
        if self.password is not None:
            place["passwordSecret"] = _selector(self.password)
        if self.ssh_key is not None:
            place["sshPrivateKeySecret"] = _selector(self.ssh_key)
        return {"git": place}

    def identity(self) -> str:
        pinned = isinstance(self.revision, str) and _COMMIT.match(self.revision)
        return self.version or (str(self.revision) if pinned else "")


@dataclass(frozen=True, slots=True, eq=False)
class Text(FileSource):
    """A file with this text, which travels in the workflow."""

    data: str | Value
    parts: ClassVar[tuple[str, ...]] = ("data",)

    def location(self, names: Mapping[str, Value]) -> Artifact:
        return {"raw": {"data": self.data.tag() if isinstance(self.data, Value) else self.data}}

    def identity(self) -> str:
        return self.version or "text"  # the location has it all


class SourceValue(FileValue):
    """A source as an argument of a task."""

    def __init__(self, source: FileSource, site: Site) -> None:
        self.source, self.site = source, site

    def artifact(self) -> Artifact:
        return self.source.location({"workflow": workflow_name})

    def leaves(self) -> Iterator[Value]:
        return self.source.values()

    def describe(self) -> str:
        return repr(self.source)

    def tag(self) -> str:
        self._needs_text()

    def digest(self) -> Value | str:
        """Its place and its version; empty without a version."""
        return self.place() if self.source.identity() else ""

    def place(self) -> Value:
        """The same, also without a version."""
        source, version = self.source, self.source.identity()
        parts: list[str | Value] = [type(source).__name__, version]
        parts += [getattr(source, name) for name in source.parts]
        if any(isinstance(part, str) and "{workflow}" in part for part in parts):
            parts.append(workflow_name)
        values = tuple(part for part in parts if isinstance(part, Value))
        return Expression(
            lambda: (
                "toJson([" + ", ".join(p.expr() if isinstance(p, Value) else literal(p) for p in parts) + "])"
            ),
            values,
        )


def file_argument(owner: str, field: Field, value: object, site: Site) -> FileValue | Raw | None:
    """An argument for a file: a file of another step or a source; None for no file. Raises DefinitionError (TIP105)."""
    if isinstance(value, Raw) or (value is None and field.optional):
        return value
    found = SourceValue(value, site) if isinstance(value, FileSource) else value
    if isinstance(found, FileValue):
        check_argument(field, found, owner, site)
        if found.maybe and not field.optional:
            raise DefinitionError(
                "TIP105",
                f"{owner} takes {field.python}: {type_name(field.type)}, and {found.describe()} may be no file",
                where=str(site),
                fix=f"write {field.python}: {type_name(field.type)} | None",
            )
        return found
    if isinstance(value, Value):
        check_argument(field, value, owner, site)
    shown = repr(value)[:60]
    raise DefinitionError(
        "TIP105",
        f"{owner} takes {field.python}: {type_name(field.type)}, but got {shown} ({type(value).__name__})",
        where=str(site),
        cause="a file of this machine is not in the pod",
        fix='pass what a step returned, or a source: Text("…"), S3("bucket", "key"), GCS(…), HTTP("https://…"), Git(…)',
    )


def refuse_outside(owner: str, values: Iterable[object], site: Site) -> None:
    """Refuse (TIP113) a source in a plain call, which fetches nothing."""
    for value in values:
        if isinstance(value, FileSource):
            raise DefinitionError(
                "TIP113",
                f"{owner} is called outside a pipeline with {type(value).__name__}(…)",
                where=str(site),
                cause="a plain call runs the function with the values that it is given",
                fix="give it a Path of this machine, or call it in a Pipeline",
            )


def counted(fields: Sequence[Field], owner: str, cache: Cache | None) -> list[Field]:
    """The files among the inputs that count in the key of a cache."""
    return [] if cache is None else [field for field in cache.keyed(fields, owner) if field.is_file]


def by_place(
    fields: Sequence[Field],
    arguments: Mapping[str, object],
    owner: str,
    cache: Cache | None,
    depends_on: Sequence[str] | None,
) -> dict[str, Value | str]:
    """The digests of the files that are given to a cached step (:func:`tiphys.dsl.files.digest_arguments`); ``fields``
    are its inputs.

    A source without a version counts by its place where the author says so (``depends_on``), or where only the age of a
    result counts; else it is refused (TIP128).
    """
    files = counted(fields, owner, cache)
    found = digest_arguments(files, arguments)
    for each in files:
        value = arguments.get(each.name)
        if cache is None or not isinstance(value, SourceValue) or value.source.identity():
            continue
        key = str(getattr(value.source, value.source.parts[0]))
        named = any(entry.startswith("text:") and key in entry for entry in depends_on or ())
        if cache.code and not named and depends_on != ():
            raise DefinitionError(
                "TIP128",
                f"{owner} has a cache by content, and its input {each.python} is {value.describe()}",
                where=str(value.site),
                cause="the name of a place says nothing of what is there, so no result could be reused",
                fix=f'say which content is meant: version="v2" (an ETag, a date), depends_on=["text:{key} v2"], or '
                f'ignore=["{each.python}"]',
            )
        found[each.name + DIGEST] = value.place()
    return found


def stored(
    stores: Iterable[tuple[str, FileSource]], outputs: Iterable[Field], inputs: Iterable[Field], owner: str
) -> dict[str, Artifact]:
    """Where output files are put, by name: ``{name}`` in a key stands for an input. Raises DefinitionError: TIP103,
    TIP105, TIP106."""
    known = {f.python: f for f in outputs}
    names: dict[str, Value] = {"workflow": workflow_name}
    names |= {f.python: Input(f.name) for f in inputs if not f.is_file}
    found: dict[str, Artifact] = {}
    for name, source in stores:
        if not isinstance(source, FileSource) or not source.storable:
            raise DefinitionError(
                "TIP105",
                f"{owner} would store {name!r} in {source!r}",
                where=str(getattr(source, "site", caller())),
                fix='name a place of an object store: S3("bucket", "key") or GCS("bucket", "key")',
            )
        if any(isinstance(value, (Output, LoopItem)) for value in source.values()):
            raise _wrong(
                source,
                "TIP108",
                "its key holds what another task makes",
                "make that an input of the step: {name} in the key is the input of that name",
            )
        if name not in known or not known[name].is_file:
            files = [each for each, field in known.items() if field.is_file]
            raise _wrong(
                source,
                "TIP106",
                f"{owner} has no output file {name!r}.{did_you_mean(name, files)}",
                f"files that it returns: {', '.join(files) or 'none'}",
            )
        found[known[name].name] = cast("Artifact", {"archive": {"none": {}}, **source.location(names)})
    return found


def _as_is(artifact: Artifact, unpack: bool) -> Artifact:
    """A file that is an archive stays one: Argo would unpack it."""
    return artifact if unpack else cast("Artifact", {**artifact, "archive": {"none": {}}})


def _key(source: S3 | GCS, names: Mapping[str, Value]) -> str:
    if isinstance(source.key, str) and not source.key.strip("/"):
        raise _wrong(source, "TIP104", "there is no key", f'write {type(source).__name__}("bucket", "key")')
    return source.text("key", names)


def _selector(given: SecretKey) -> KeySelector:
    return {"name": given[0], "key": given[1]}


def _wrong(source: FileSource, code: str, message: str, fix: str) -> DefinitionError:
    return DefinitionError(code, f"{type(source).__name__}: {message}", where=str(source.site), fix=fix)
