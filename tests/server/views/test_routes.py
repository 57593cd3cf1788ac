"""The views, through the application that a server has, of a run that really ran."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.server.views.made import EVIL, store
from tiphys.engine import RunOptions
from tiphys.server.access import Access
from tiphys.server.app import application
from tiphys.server.desk import Desk

PAGES = [f"/ui/runs/one/{page}" for page in ("training", "candidates", "data", "models", "resources")]
ALL = [*PAGES, "/ui/compare?left=one&right=two", "/ui/compare", "/ui/lineage?of=one", "/ui/lineage"]


class Answer:
    def __init__(self, messages: list[dict[str, object]]) -> None:
        start, *rest = messages
        self.status = start["status"]
        headers = start["headers"]
        assert isinstance(headers, list)
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.body = b"".join(part["body"] for part in rest if isinstance(part.get("body"), bytes))  # type: ignore[misc]
        self.text = self.body.decode()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    desk = Desk(RunOptions(store=store()))
    desk.board.start()
    yield desk
    desk.board.close()


def ask(desk: Desk, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """A request of ASGI, without a server between."""
    sent: list[dict[str, object]] = []
    given = {"host": "localhost", "authorization": "Bearer t", **headers}
    if body:
        given = {"content-type": "application/json", "content-length": str(len(body)), **given}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "scheme": "http", "root_path": "",
        "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "extensions": {},
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    asyncio.run(application(desk, Access("t"))(scope, receive, send))  # type: ignore[arg-type]
    return Answer(sent)


class Markup(HTMLParser):
    """The elements of a page, as a browser would make them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("path", ALL)
def test_no_text_of_a_user_becomes_markup(path: str, desk: Desk) -> None:
    answer = ask(desk, path)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")
    page = Markup(answer.text)
    assert all((script["src"] or "").startswith("/ui/") for script in page.all("script"))
    assert not page.all("style") and not any("style" in attributes for _, attributes in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    if path in PAGES and path.rpartition("/")[2] in ("candidates", "data"):
        assert EVIL not in answer.text and "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("path", ALL)
def test_who_sees_nothing_can_read_it(path: str, desk: Desk) -> None:
    page = Markup(ask(desk, path).text)
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1 and page.all("html")[0]["lang"] == "en"
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in attributes for attributes in page.all("th"))
    drawn = [each for each in page.all("svg") if each.get("role") == "img"]
    assert len(page.all("title")) > len([each for each in drawn if "aria-label" not in each])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    here = [each for each in page.all("a") if each.get("aria-current") == "page"]
    assert len(here) == (1 if path in PAGES else 0)


def test_every_link_below_ui_leads_somewhere(desk: Desk) -> None:
    for path in ALL:
        for link in {each["href"] for each in Markup(ask(desk, path).text).all("a")}:
            assert link is not None
            if link.startswith("/ui/") and not re.fullmatch(
                r"/ui/runs/[^/]+", link
            ):  # the run itself is the page's
                assert ask(desk, link).status == 200, link


def test_what_the_run_did_is_there(desk: Desk) -> None:
    training = ask(desk, "/ui/runs/one/training").text
    assert "epoch 3 of 3" in training and "0.3333" in training
    candidates = ask(desk, "/ui/runs/one/candidates").text
    assert "80.00%" in candidates and "70.00%" in candidates and "+5.00 points" in candidates
    data = ask(desk, "/ui/runs/one/data").text
    assert "MIT" in data and "in test" in data  # the second class is not there
    assert (
        "Less than" in ask(desk, "/ui/runs/one/resources").text
        or "Cost" in ask(desk, "/ui/runs/one/resources").text
    )
    compared = ask(desk, "/ui/compare?left=one&right=two").text
    assert ">epochs<" in compared and "train: loss" in compared
    assert "pvc://tiphys/datasets/words" in ask(desk, "/ui/lineage?of=pvc://tiphys/models/m").text


def test_a_run_as_one_file(desk: Desk) -> None:
    answer = ask(desk, "/ui/runs/one/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="one.html"'
    assert answer.text.startswith("<!doctype html>") and not Markup(answer.text).all("script")


def test_a_picture_is_asked_only_where_a_model_is_served(desk: Desk) -> None:
    def think(body: object) -> Answer:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(desk, "/ui/runs/one/models/think", method="POST", body=text)

    nobody = think({"pixels": [0] * 784})
    assert nobody.status == 409 and "--keep-serving" in json.loads(nobody.body)["message"]
    for wrong in (b"{", b"[]", {"pixels": [256]}, {"pixels": [True]}, {"pixels": "x"}, {"pixels": [0.5]}):
        assert think(wrong).status == 400, wrong
    assert think(b" " * 70_000).status == 413
    assert ask(desk, "/ui/runs/none/models/think", method="POST", body=b'{"pixels": []}').status == 404


@pytest.mark.parametrize("page", ["training", "candidates", "data", "models", "resources", "report"])
def test_a_run_that_is_not_there(page: str, desk: Desk) -> None:
    assert ask(desk, f"/ui/runs/none/{page}").status == 404


def test_what_cannot_be_compared_or_traced_is_told(desk: Desk) -> None:
    assert "TIP211" in ask(desk, "/ui/compare?" + urlencode({"left": "one", "right": EVIL})).text
    told = ask(desk, "/ui/lineage?" + urlencode({"of": EVIL}))
    assert "TIP431" in told.text and EVIL not in told.text


def test_only_the_views_own_files(desk: Desk) -> None:
    for name in ("views.css", "pad.js", "base.css"):
        assert ask(desk, f"/ui/views/{name}").status == 200
    for name in ("routes.py", "..%2froutes.py", "x"):
        assert ask(desk, f"/ui/views/{name}").status == 404


@pytest.mark.parametrize("path", ALL)
def test_nobody_sees_it_without_a_right(path: str, desk: Desk) -> None:
    assert ask(desk, path, authorization="Bearer other").status == 401


def test_the_files_are_small() -> None:
    import gzip

    from tiphys.server.views.routes import TEMPLATES

    files = Path(TEMPLATES).with_name("static").iterdir()
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 20_000
