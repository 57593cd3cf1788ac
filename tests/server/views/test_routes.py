"""The views, through the application that a server has, of a run that really ran."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
import requests

from tests.server.page.visits import Visitor, visitor
from tests.server.views.made import EVIL, store

PAGES = [f"/ui/runs/one/{page}" for page in ("training", "candidates", "data", "models", "resources")]
ALL = [*PAGES, "/ui/compare?left=one&right=two", "/ui/compare", "/ui/lineage?of=one", "/ui/lineage"]


@pytest.fixture(scope="module")
def page() -> Iterator[Visitor]:
    with visitor(store()) as client:
        yield client


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
def test_no_text_of_a_user_becomes_markup(path: str, page: Visitor) -> None:
    answer = page.get(path)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    made = Markup(answer.text)
    assert all((script["src"] or "").startswith("/ui/") for script in made.all("script"))
    assert not made.all("style") and not any("style" in attributes for _, attributes in made.tags)
    assert not any(name.startswith("on") for _, attributes in made.tags for name in attributes)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    if path in PAGES and path.rpartition("/")[2] in ("candidates", "data"):
        assert EVIL not in answer.text and "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("path", ALL)
def test_who_sees_nothing_can_read_it(path: str, page: Visitor) -> None:
    made = Markup(page.get(path).text)
    assert len(made.all("h1")) == 1 and len(made.all("main")) == 1 and made.all("html")[0]["lang"] == "en"
    assert len(made.all("caption")) == len(made.all("table"))
    assert all("scope" in attributes for attributes in made.all("th"))
    unnamed = [each for each in made.all("svg") if each.get("role") == "img" and "aria-label" not in each]
    assert len(made.all("title")) > len(unnamed)
    ids = [attributes["id"] for _, attributes in made.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert any(each.get("aria-current") == "page" for each in made.all("a"))


def test_every_link_below_ui_leads_somewhere(page: Visitor) -> None:
    for path in ALL:
        for link in {each["href"] for each in Markup(page.get(path).text).all("a")}:
            assert link is not None
            if link.startswith("/ui/"):
                assert page.get(link).status_code == 200, link


def test_what_the_run_did_is_there(page: Visitor) -> None:
    training = page.get("/ui/runs/one/training").text
    assert "epoch 3 of 3" in training and "0.3333" in training
    candidates = page.get("/ui/runs/one/candidates").text
    assert "80.00%" in candidates and "70.00%" in candidates and "+5.00 points" in candidates
    data = page.get("/ui/runs/one/data").text
    assert "MIT" in data and "in test" in data  # the second class is not there
    assert (
        "Less than" in page.get("/ui/runs/one/resources").text
        or "Cost" in page.get("/ui/runs/one/resources").text
    )
    compared = page.get("/ui/compare?left=one&right=two").text
    assert ">epochs<" in compared and "train: loss" in compared
    assert "pvc://tiphys/datasets/words" in page.get("/ui/lineage?of=pvc://tiphys/models/m").text


def test_a_run_as_one_file(page: Visitor) -> None:
    answer = page.get("/ui/runs/one/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="one.html"'
    assert answer.text.startswith("<!doctype html>") and not Markup(answer.text).all("script")


def test_a_picture_is_asked_only_where_a_model_is_served(page: Visitor) -> None:
    def think(body: object) -> requests.Response:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return page.post("/ui/runs/one/models/think", data=text, headers={"Origin": page.base})

    nobody = think({"pixels": [0] * 784})
    assert nobody.status_code == 409 and "--keep-serving" in json.loads(nobody.content)["message"]
    for wrong in (b"{", b"[]", {"pixels": [256]}, {"pixels": [True]}, {"pixels": "x"}, {"pixels": [0.5]}):
        assert think(wrong).status_code == 400, wrong
    assert think(b" " * 70_000).status_code == 413
    gone = page.post("/ui/runs/none/models/think", data=b'{"pixels": []}', headers={"Origin": page.base})
    assert gone.status_code == 404
    assert (
        page.post("/ui/runs/one/models/think", data=b'{"pixels": []}').status_code == 403
    )  # no page of ours


@pytest.mark.parametrize("view", ["training", "candidates", "data", "models", "resources", "report"])
def test_a_run_that_is_not_there(view: str, page: Visitor) -> None:
    assert page.get(f"/ui/runs/none/{view}").status_code == 404


def test_what_cannot_be_compared_or_traced_is_told(page: Visitor) -> None:
    assert "TIP211" in page.get("/ui/compare?" + urlencode({"left": "one", "right": EVIL})).text
    told = page.get("/ui/lineage?" + urlencode({"of": EVIL}))
    assert "TIP431" in told.text and EVIL not in told.text


def test_nobody_sees_it_without_a_right() -> None:
    with visitor(store(), entered=False) as stranger:
        for path in ALL:
            assert stranger.get(path).status_code == 401, path
