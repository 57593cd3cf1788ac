"""Where artifacts are that the local store does not have: http, artifactory, git, and the object stores by fsspec."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from tiphys.argo.artifacts import key_of, location_of
from tiphys.engine.pods.host import Host
from tiphys.errors import StoreError, redacted

if TYPE_CHECKING:
    import requests

    from tiphys.argo.pod_types import (
        ArtifactoryLocation,
        BasicAuth,
        GitLocation,
        HTTPAuth,
        HTTPLocation,
        KeySelector,
        OAuth2Client,
        OSSLocation,
        S3Location,
    )
    from tiphys.argo.types import Artifact


__all__ = [
    "REMOTE",
    "LocationError",
    "clone",
    "download",
    "fetch_object",
    "names_a_store",
    "over_http",
    "upload",
]

_CHUNK = 1 << 20
_TIMEOUT = 60.0
# kind -> (what fsspec calls it, the package that it needs)
REMOTE = {
    "s3": ("s3", "s3fs"), "gcs": ("gs", "gcsfs"), "azure": ("abfs", "adlfs"), "oss": ("oss", "ossfs"),
    "hdfs": ("hdfs", "pyarrow"),
}  # fmt: skip


class LocationError(OSError):
    """An artifact's place cannot be used; the text is for the node's message."""

    def __init__(self, text: str) -> None:
        super().__init__(redacted(text))


def over_http(place: ArtifactoryLocation) -> HTTPLocation:
    """How an ``artifactory`` artifact is asked for."""
    secrets: BasicAuth = {}
    if user := place.get("usernameSecret"):
        secrets["usernameSecret"] = user
    if password := place.get("passwordSecret"):
        secrets["passwordSecret"] = password
    return {"url": place.get("url", ""), "auth": {"basicAuth": secrets}}


def download(host: Host, place: HTTPLocation, path: Path) -> None:
    """Fetch an ``http`` artifact into a file, piece by piece."""
    with _Web(host, place) as web, web.ask("GET") as answer, path.open("wb") as stream:
        for piece in answer.iter_content(_CHUNK):
            host.store.artifacts.going_on()
            stream.write(piece)


def upload(host: Host, place: HTTPLocation, path: Path) -> None:
    """Store a file as an ``http`` artifact, with PUT as Argo does."""
    with _Web(host, place) as web, path.open("rb") as stream, web.ask("PUT", stream):
        pass


class _Web:
    """One request with the artifact's headers and ``auth``."""

    def __init__(self, host: Host, place: HTTPLocation) -> None:
        from tiphys.engine.pods.reach import session  # TLS, which most runs do not need

        self._host = host
        self._place = place
        self._session = session(host.network)
        self._folder = tempfile.TemporaryDirectory(prefix="tiphys-")
        self.url = str(place.get("url", ""))

    def __enter__(self) -> _Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._folder.cleanup()

    def ask(self, method: str, body: IO[bytes] | None = None) -> requests.Response:
        """Send it. Raises LocationError."""
        import requests

        if not self.url.startswith(("http://", "https://")):
            raise LocationError(f"unsupported URL {self.url!r}")
        headers = {str(item["name"]): str(item["value"]) for item in self._place.get("headers") or []}
        try:
            self._authorize(self._place.get("auth") or {})
            answer = self._session.request(
                method, self.url, data=body, headers=headers, stream=True, timeout=_TIMEOUT
            )
        except requests.ConnectionError as error:
            raise LocationError(f'{method.capitalize()} "{self.url}": {_refused(self.url, error)}') from error
        except requests.RequestException as error:
            raise LocationError(f'{method.capitalize()} "{self.url}": {error}') from error
        if not answer.ok:
            answer.close()
            raise LocationError(f"{method} {self.url} answered {answer.status_code} {answer.reason}")
        return answer

    def _authorize(self, auth: HTTPAuth) -> None:
        if basic := auth.get("basicAuth"):
            user, password = basic.get("usernameSecret"), basic.get("passwordSecret")
            self._session.auth = (_secret(self._host, user), _secret(self._host, password))
        if certificate := auth.get("clientCert"):
            files = []
            secrets = (certificate.get("clientCertSecret"), certificate.get("clientKeySecret"))
            for name, secret in zip(("certificate", "key"), secrets, strict=True):
                place = Path(self._folder.name, name)
                place.touch(0o600)
                place.write_text(_secret(self._host, secret))
                files.append(str(place))
            self._session.cert = (files[0], files[1])
        if client := auth.get("oauth2"):
            self._session.headers["Authorization"] = f"Bearer {self._token(client)}"

    def _token(self, client: OAuth2Client) -> str:
        """OAuth 2.0's client credentials grant (RFC 6749, 4.4)."""
        form = {str(each.get("key")): str(each.get("value")) for each in client.get("endpointParams") or ()}
        form["grant_type"] = "client_credentials"
        if scopes := client.get("scopes"):
            form["scope"] = " ".join(map(str, scopes))
        identity = (
            _secret(self._host, client.get("clientIDSecret")),
            _secret(self._host, client.get("clientSecretSecret")),
        )
        answer = self._session.post(
            _secret(self._host, client.get("tokenURLSecret")), data=form, auth=identity, timeout=_TIMEOUT
        )
        answer.raise_for_status()
        return str(answer.json().get("access_token", ""))


def _refused(url: str, error: Exception) -> str:
    """Go's words for a connection that nobody takes."""
    if "Errno 111" not in str(error):
        return str(error)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"dial tcp {parts.hostname}:{port}: connect: connection refused"


def clone(host: Host, settings: GitLocation, target: Path) -> None:
    """Check a ``git`` artifact out, with its submodules."""
    if shutil.which("git") is None:
        raise LocationError("git is not installed on this machine")
    repository, revision = str(settings.get("repo", "")), str(settings.get("revision") or "")
    branch = str(settings.get("branch") or "")
    for text in (repository, revision, branch):
        if text.startswith("-"):
            raise LocationError(f"refused git argument {text!r}")
    command = ["git"]
    if settings.get("insecureSkipTLS"):
        command += ["-c", "http.sslVerify=false"]
    command += ["clone", "--quiet"]
    if depth := settings.get("depth"):
        command += ["--depth", str(int(depth))]
    if settings.get("singleBranch"):
        command.append("--single-branch")
    if branch:
        command += ["--branch", branch]
    target.parent.mkdir(parents=True, exist_ok=True)
    here = ["git", "-C", str(target)]
    steps = [[*command, "--", repository, str(target)]]
    if fetch := settings.get("fetch"):
        steps.append([*here, "fetch", "--quiet", "origin", "--", *(str(each) for each in fetch)])
    if revision:
        steps.append([*here, "checkout", "--quiet", revision])
    if not settings.get("disableSubmodules"):
        steps.append([*here, "submodule", "--quiet", "update", "--init", "--recursive"])
    with tempfile.TemporaryDirectory(prefix="tiphys-") as folder:
        env = _git_environment(host, settings, Path(folder))
        for step in steps:
            code, said = _ended(host, step, env)
            if code:
                raise LocationError(said or f"git failed with code {code}")


def _ended(host: Host, command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """The exit code of a program and what it said of errors; it is killed when the run is."""
    null = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=null, stdout=null, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        while True:
            try:
                said = process.communicate(timeout=0.2)[1]
            except subprocess.TimeoutExpired:
                try:
                    host.store.artifacts.going_on()
                except StoreError:
                    process.kill()
                    raise
            else:
                return process.returncode, said.strip()


def _git_environment(host: Host, settings: GitLocation, folder: Path) -> dict[str, str]:
    """Credentials go through a helper that reads them from the environment: never into a command line or a file of
    the checkout."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    if host.runner.name != "process":  # a repository of this machine is none of the container's
        env["GIT_ALLOW_PROTOCOL"] = "git:http:https:ssh"
    if settings.get("usernameSecret") or settings.get("passwordSecret"):
        helper = folder / "askpass"
        helper.write_text(
            '#!/bin/sh\ncase $1 in\nUsername*) printf %s "$TIPHYS_USER";;\n*) printf %s "$TIPHYS_PASSWORD";;\nesac\n'
        )
        helper.chmod(stat.S_IRWXU)
        env["GIT_ASKPASS"] = str(helper)
        env["TIPHYS_USER"] = _secret(host, settings.get("usernameSecret"))
        env["TIPHYS_PASSWORD"] = _secret(host, settings.get("passwordSecret"))
    options = []
    if key := settings.get("sshPrivateKeySecret"):
        place = folder / "key"
        place.touch(0o600)
        place.write_text(_secret(host, key).rstrip("\n") + "\n")
        options.append(f"-i {place} -o IdentitiesOnly=yes")
    if settings.get("insecureIgnoreHostKey"):
        options.append("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null")
    if options:
        env["GIT_SSH_COMMAND"] = "ssh " + " ".join(options)
    return env


def names_a_store(artifact: Artifact) -> bool:
    """Whether an artifact says itself in which object store it lies."""
    _, settings = location_of(artifact) or ("", {})
    return any(settings.get(field) for field in ("endpoint", "bucket", "addresses"))


def fetch_object(host: Host, kind: str, artifact: Artifact, box: Path) -> None:
    """Fetch an object, or all that lie below its key, into ``box``.

    Raises StoreError that names the package to install, LocationError, or FileNotFoundError in S3's words.
    """
    protocol, package = REMOTE[kind]
    try:
        import fsspec

        files = fsspec.filesystem(protocol, **_options(host, kind, artifact))
    except ImportError as error:
        raise StoreError(
            "TIP448",
            f"the artifact is not in the local store, and {package} is not installed to fetch it from {kind}",
            fix=f"pip install 'tiphys[{kind}]'",
        ) from error
    _, settings = location_of(artifact) or ("", {})
    holder = str(settings.get("bucket") or settings.get("container") or "")
    path = "/".join(filter(None, (holder, key_of(artifact).strip("/"))))
    try:
        if not files.exists(path):
            raise FileNotFoundError("The specified key does not exist.")
        folder = files.isdir(path)
        for each in files.find(path) if folder else ():
            if ".." in str(each).split("/"):
                raise LocationError(f"the key {each!r} leads out of its folder")
        files.get(path, str(box), recursive=folder)
    except FileNotFoundError:
        raise FileNotFoundError("The specified key does not exist.") from None
    except LocationError:
        raise
    except Exception as error:  # each library has exceptions of its own
        raise LocationError(f"{kind}://{path}: {error}") from error


def _options(host: Host, kind: str, artifact: Artifact) -> dict[str, object]:
    """What fsspec's implementations call Argo's settings."""
    if kind == "s3":
        s3 = artifact["s3"]
        found = _keys(host, s3)
        if token := s3.get("sessionTokenSecret"):
            found["token"] = _secret(host, token)
        if endpoint := s3.get("endpoint"):
            found["endpoint_url"] = f"{'http' if s3.get('insecure') else 'https'}://{endpoint}"
        if region := s3.get("region"):
            found["client_kwargs"] = {"region_name": str(region)}
    elif kind == "oss":
        oss = artifact["oss"]
        found = _keys(host, oss)
        if endpoint := oss.get("endpoint"):
            found["endpoint"] = str(endpoint)
    elif kind == "azure":
        azure = artifact["azure"]
        server = urlsplit(str(azure.get("endpoint") or "")).hostname or ""
        found = {"account_name": server.partition(".")[0]}
        if account := azure.get("accountKeySecret"):
            found["account_key"] = _secret(host, account)
    elif kind == "hdfs":
        hdfs = artifact["hdfs"]
        address, _, port = str((hdfs.get("addresses") or [""])[0]).partition(":")
        found = {"host": address, "port": int(port or 8020), "user": hdfs.get("hdfsUser")}
    else:
        found = {}
        if service := artifact["gcs"].get("serviceAccountKeySecret"):
            import json

            found["token"] = json.loads(_secret(host, service))
    return found


def _keys(host: Host, place: S3Location | OSSLocation) -> dict[str, object]:
    found: dict[str, object] = {}
    if access := place.get("accessKeySecret"):
        found["key"] = _secret(host, access)
    if secret := place.get("secretKeySecret"):
        found["secret"] = _secret(host, secret)
    return found


def _secret(host: Host, reference: KeySelector | None) -> str:
    """The value that a reference to a key of a Secret names. Raises LocationError."""
    if reference is None:
        return ""
    name, key = str(reference.get("name")), str(reference.get("key"))
    data = host.objects.secret(name)
    if data is None:
        raise LocationError(f'secrets "{name}" not found')
    if key not in data:
        raise LocationError(f"secret {name!r} does not have the key {key!r}")
    return data[key].decode()
