"""The same calls over HTTP, as a person with curl makes them, and what is refused with the name of what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.running import Running, running
from tiphys.training.place import SeenJob


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rest")) as found:
        status, made = found.rest("POST", "/v1/algorithms", {"name": "cnn", "image": "registry/cnn:1"})
        assert (status, made["version"], made["kind"]) == (200, 1, "container")
        yield found


def test_a_job_from_its_request_to_its_end(service: Running) -> None:
    status, made = service.rest("POST", "/v1/jobs", {"algorithm": "cnn", "parameters": {"LR": "4"}})
    assert status == 200
    path = f"/v1/jobs/{made['job_id']}"
    while service.rest("GET", path)[1]["status"] != "running":
        time.sleep(0.01)
    assert service.rest("GET", f"{path}/logs")[1].endswith(
        f"of {service.service.status(made['job_id'], '').run}\n"
    )
    run = service.rest("GET", path)[1]["run"]
    service.place.seen[run] = SeenJob(phase="Succeeded", metrics={"accuracy": 0.9})
    status, told = service.rest("GET", f"{path}?wait=20")
    assert (status, told["status"], told["metrics"]) == (200, "succeed", {"accuracy": 0.9})
    assert told["metadata"]["parameters"] == {"LR": "4"} and told["metadata"]["train_data_version_hash"] == ""
    assert service.rest("POST", f"{path}:cancel")[1]["status"] == "succeed"  # as it was
    jobs = service.rest("GET", "/v1/jobs?status=succeed,failure&limit=5")[1]["jobs"]
    assert [each["job_id"] for each in jobs] == [made["job_id"]]


def test_algorithms_and_pools(service: Running) -> None:
    status, made = service.rest("PUT", "/v1/algorithms", {"name": "cnn", "image": "registry/cnn:2"})
    assert (status, made["version"]) == (200, 2)
    versions = service.rest("GET", "/v1/algorithms?name=cnn")[1]["algorithms"]
    assert [each["version"] for each in versions] == [2, 1]
    assert service.rest("GET", "/v1/pools")[1]["pools"][0]["name"] == "default"
    assert service.rest("GET", "/healthz") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/v1/jobs", {"algorithm": "cnn", "epochs": 3}, 400, "epochs"),
        ("POST", "/v1/jobs", b"{", 400, "TIP821"),
        ("POST", "/v1/jobs", b'{"algorithm": "\xff"}', 400, "TIP821"),
        ("POST", "/v1/jobs", b"[" * 100_000, 400, "TIP821"),
        ("POST", "/v1/jobs", {"algorithm": "cnn", "priority": 2**40}, 400, "priority"),
        ("POST", "/v1/jobs", {"algorithm": "none"}, 404, "TIP807"),
        ("POST", "/v1/algorithms", {"name": "cnn", "image": "x"}, 409, "TIP805"),
        ("GET", "/v1/jobs/99", None, 404, "TIP806"),
        ("GET", f"/v1/jobs/{2**31}", None, 404, "TIP806"),
        ("GET", "/v1/jobs/9999999999", None, 404, "TIP806"),
        ("GET", "/v1/jobs/-1", None, 404, "no GET /v1/jobs/-1"),
        ("GET", "/v1/jobs/%D9%A1", None, 404, "no GET"),
        ("DELETE", "/v1/jobs/1", None, 404, "no DELETE"),
        ("GET", "/v1/jobs?limit=-1", None, 400, "limit"),
        ("GET", "/v1/jobs?status=done", None, 400, "done"),
        ("GET", "/v1/jobs?stat=running", None, 400, "stat"),
        ("GET", "/v1/jobs/1?wait=soon", None, 400, "wait"),
    ],
)
def test_what_is_refused_says_what_is_wrong(
    service: Running, method: str, path: str, body: object, status: int, says: str
) -> None:
    found, told = service.rest(method, path, body)
    assert (found, says in str(told["error"])) == (status, True), told


def test_a_page_of_the_web_is_not_the_user(service: Running) -> None:
    """A browser sends a page's request to localhost, too."""
    for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example:6824"}):
        status, told = service.rest("GET", "/v1/jobs", headers=headers)
        assert (status, told["error"]["code"]) == (403, "TIP828")


def test_with_tokens_the_token_is_what_counts(tmp_path: Path) -> None:
    from tiphys.training.pools import new_token

    token, digest = new_token()
    rules = f'[pools.vision]\njobs = 1\n[users.anna]\npools = ["vision"]\ntoken = "{digest}"\n'
    with running(tmp_path, rules=rules, private=False) as found:
        assert found.rest("GET", "/v1/pools")[0] == 401
        assert found.rest("GET", "/v1/pools", headers={"Authorization": "Bearer \xff"})[0] == 401
        headers = {"Authorization": f"Bearer {token}", "Origin": "https://intranet.example"}
        assert found.rest("GET", "/v1/pools", headers=headers)[1]["pools"][0]["name"] == "vision"
        # without users everybody would be the one of the operating system, from everywhere
        (tmp_path / "training.toml").write_text("[pools.vision]\njobs = 1\n")
        assert found.rest("GET", "/v1/pools", headers={"Host": "127.0.0.1"})[0] == 401
