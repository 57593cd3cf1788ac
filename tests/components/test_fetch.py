"""Getting the four files: each way checks every byte, and says what is wrong."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import http.server
import os
import socket
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import components.fetch
import components.fingerprint
from components.catalog import DEBIAN_FOLDER, FILES, IdxFile
from components.fetch import from_apt, from_folder, from_uri
from components.fingerprint import fingerprint
from tiphys.errors import ComponentError, StoreError
from tiphys.reference import verify

CONTENT = {file.name: file.name.encode() * 100 for file in FILES}
TINY = tuple(IdxFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items())
LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pin four files of a few kilobytes in place of the real ones."""
    monkeypatch.setattr(components.fetch, "FILES", TINY)
    monkeypatch.setattr(components.fingerprint, "FILES", TINY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All four files, two of them compressed."""
    path = tmp_path / "given"
    path.mkdir()
    for number, (name, data) in enumerate(CONTENT.items()):
        if number % 2:
            (path / name).write_bytes(data)
        else:
            (path / (name + ".gz")).write_bytes(gzip.compress(data))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    path = tmp_path / "into"
    path.mkdir()
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(handler: object) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def content(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in os.listdir(path)}


def test_from_a_folder(folder: Path, into: Path) -> None:
    from_folder(folder, into)
    assert content(into) == CONTENT


def test_from_a_uri(folder: Path, into: Path) -> None:
    from_uri(folder.as_uri(), into)
    assert content(into) == CONTENT


def test_over_http(folder: Path, into: Path) -> None:
    with served(functools.partial(Quiet, directory=str(folder))) as url:
        from_uri(url + "/", into)
    assert content(into) == CONTENT


def test_a_missing_folder_and_a_missing_file(folder: Path, into: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        from_folder(folder / "not", into)
    assert caught.value.code == "TIP703"
    (folder / LABELS).unlink()
    with pytest.raises(ComponentError) as caught:
        from_folder(folder, into)
    assert caught.value.code == "TIP703"
    assert LABELS in caught.value.message
    assert "parameter `source`" in caught.value.fix


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (CONTENT[LABELS][:-1], "2199 of 2200 bytes"),
        (CONTENT[LABELS] + b"x", "more than 2200 bytes"),
        (CONTENT[LABELS][:-1] + b"x", "its SHA-256 is"),
        (gzip.compress(CONTENT[LABELS])[:-4], "cut off"),
        (gzip.compress(bytes(10_000_000)), "more than 2200 bytes"),
        (b"\x1f\x8b\x08\x00 not gzip", "damaged"),
        (b"", "0 of 2200 bytes"),
    ],
    ids=["short", "long", "altered", "gzip cut off", "gzip bomb", "not gzip", "empty"],
)
def test_a_file_that_is_not_the_pinned_one(folder: Path, into: Path, data: bytes, reason: str) -> None:
    (folder / LABELS).write_bytes(data)
    with pytest.raises(ComponentError) as caught:
        from_folder(folder, into)
    assert caught.value.code == "TIP702"
    assert reason in caught.value.cause
    assert caught.value.where.endswith(LABELS)


def test_two_swapped_files(folder: Path, into: Path) -> None:
    names = ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    (folder / names[0]).rename(folder / "other")
    (folder / names[1]).rename(folder / names[0])
    (folder / "other").rename(folder / names[1])
    with pytest.raises(ComponentError) as caught:
        from_folder(folder, into)
    assert caught.value.code == "TIP702"


def test_a_server_error(into: Path) -> None:
    class Broken(Quiet):
        def do_GET(self) -> None:
            self.send_error(500)

    with served(Broken) as url, pytest.raises(ComponentError) as caught:
        from_uri(url, into)
    assert caught.value.code == "TIP701"
    assert "HTTP 500" in caught.value.cause


def test_a_connection_that_breaks(into: Path) -> None:
    class Broken(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(CONTENT[LABELS][:100])

    with served(Broken) as url, pytest.raises(ComponentError) as caught:
        from_uri(url, into)
    assert caught.value.code in ("TIP701", "TIP702")


def test_nobody_listens(into: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ComponentError) as caught:
            from_uri(f"http://127.0.0.1:{taken.getsockname()[1]}", into)
    assert caught.value.code == "TIP701"


def test_a_deadline_that_has_passed(folder: Path, into: Path) -> None:
    with (
        served(functools.partial(Quiet, directory=str(folder))) as url,
        pytest.raises(ComponentError) as caught,
    ):
        from_uri(url, into, seconds=-1)
    assert "too slow" in caught.value.cause


def test_other_schemes_go_through_fsspec(folder: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OpenFile:
        def __init__(self, uri: str, mode: str) -> None:
            assert uri.startswith("s3://bucket/data/")
            assert mode == "rb"
            self.path = folder / uri.rpartition("/")[2]

        def open(self) -> object:
            return self.path.open("rb")

    monkeypatch.setitem(sys.modules, "fsspec", types.SimpleNamespace(open=OpenFile))  # type: ignore[arg-type]
    from_uri("s3://bucket/data/", into)
    assert content(into) == CONTENT


def test_without_fsspec_the_error_says_what_to_install(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ComponentError) as caught:
        from_uri("s3://bucket/data", into)
    assert "pip install fsspec" in caught.value.fix


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


def test_debian_package_through_apt(
    folder: Path, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's lists do not know the package; private ones are fetched, and nothing is installed."""
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(
        tools,
        "apt-get",
        """case "$*" in
        *Dir::State::lists=*update*) mkdir -p state && touch state/updated ;;
        *Dir::State::lists=*download*) test -e state/updated && touch dataset-fashion-mnist_1_all.deb ;;
        *) echo "E: Unable to locate package" >&2; exit 100 ;;
        esac""",
    )
    tool(
        tools,
        "dpkg-deb",
        f"mkdir -p $3/usr/share/datasets && cp -r '{folder}' $3/usr/share/datasets/fashion-mnist",
    )
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    from_apt(into)
    assert content(into) == CONTENT


def test_apt_that_knows_no_such_package(into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(tools, "apt-get", "echo 'E: Unable to locate package dataset-fashion-mnist' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(ComponentError) as caught:
        from_apt(into)
    assert caught.value.code == "TIP701"
    assert caught.value.cause == "E: Unable to locate package dataset-fashion-mnist"


def test_apt_that_hangs_is_ended(into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(tools, "apt-get", "sleep 600 & sleep 600")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(ComponentError) as caught:
        from_apt(into, seconds=0)
    assert "took too long" in caught.value.cause


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No download, no installed package, no apt."""
    monkeypatch.setattr(components.fingerprint, "DOWNLOAD_URL", "http://127.0.0.1:1/")
    monkeypatch.setattr(components.fingerprint, "DEBIAN_FOLDER", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("offline")
def test_no_source_reachable_names_all_that_was_tried(volume: Path) -> None:
    with pytest.raises(ComponentError) as caught:
        fingerprint()
    error = caught.value
    assert error.code == "TIP701"
    for words in ("official download", "installed", "apt-get download"):
        assert words in error.cause
    for name in CONTENT:
        assert name in error.fix
    assert "`source`" in error.fix
    assert os.listdir(volume / "sources") == []


def test_auto_takes_the_first_that_works(
    volume: Path, folder: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components.fingerprint, "DEBIAN_FOLDER", str(folder))
    found = fingerprint()
    assert "Debian's package, installed" in found.origin
    assert verify(found.source) == ""
    again = fingerprint()
    assert again.source == found.source
    assert "already in the volume" in again.origin


def test_auto_begins_with_what_the_environment_names(
    volume: Path, folder: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_FASHION_MNIST", str(folder))
    assert str(folder) in fingerprint().origin


def test_the_digest_does_not_depend_on_the_way(volume: Path, folder: Path, tmp_path: Path) -> None:
    first = fingerprint(str(folder)).source
    for name, data in CONTENT.items():
        (folder / (name + ".gz")).write_bytes(gzip.compress(data, 1))
    assert fingerprint(folder.as_uri()).source == first


def test_a_damaged_copy_in_the_volume_is_replaced(volume: Path, folder: Path) -> None:
    first = fingerprint(str(folder)).source
    (stored,) = (volume / "sources").iterdir()
    (stored / LABELS).write_bytes(b"damaged")
    assert fingerprint(str(folder)).source == first
    assert verify(first) == ""


def test_a_wrong_folder_is_an_error_although_the_volume_has_the_files(volume: Path, folder: Path) -> None:
    fingerprint(str(folder))
    (folder / LABELS).write_bytes(b"other")
    with pytest.raises(ComponentError) as caught:
        fingerprint(str(folder))
    assert caught.value.code == "TIP702"


@pytest.mark.parametrize("source", ["", " auto", "a\0b"])
def test_a_source_that_is_no_source(volume: Path, source: str) -> None:
    with pytest.raises(ComponentError) as caught:
        fingerprint(source)
    assert caught.value.code == "TIP706"


def test_an_unmounted_claim(volume: Path) -> None:
    with pytest.raises(StoreError):
        fingerprint("pvc://other/data")


def test_synthetic_is_marked(volume: Path) -> None:
    pytest.importorskip("numpy")
    found = fingerprint("synthetic", limit=200)
    assert "NOT real" in found.origin
    assert "/synthetic-" in found.source.uri


def test_the_pins_are_the_authors_files() -> None:
    """Debian's files with the original gzip header have the MD5 sums that the authors publish."""
    published = {
        "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 1504176606),
        "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", 1504176606),
        "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", 1504176627),
        "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", 1504176627),
    }
    if not Path(DEBIAN_FOLDER).is_dir():
        pytest.skip(f"Debian's package dataset-fashion-mnist is not installed ({DEBIAN_FOLDER})")
    for file in FILES:
        packed = (Path(DEBIAN_FOLDER) / (file.name + ".gz")).read_bytes()
        md5, time = published[file.name]
        header = b"\x1f\x8b\x08\x08" + time.to_bytes(4, "little") + b"\0\x03" + file.name.encode() + b"\0"
        assert hashlib.md5(header + packed[10:]).hexdigest() == md5
        raw = gzip.decompress(packed)
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (file.size, file.sha256)
