"""What servers counted, read back."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tiphys.errors import ServingError
from tiphys.serving import ServingClient
from tiphys.serving.counted import Counted, counted, together
from tiphys.serving.server import ModelServer


def test_a_server_counts_what_it_was_asked(model_server: Callable[..., ModelServer]) -> None:
    with ServingClient(model_server().url, "m") as client:
        for value in range(3):
            client.predict(instances=[float(value)])
        with pytest.raises(ServingError, match="TIP521"):
            client.predict(instances=["no number"])
        ((name, found),) = counted(client.counters()).items()
    assert (name, found.answered, found.refused, found.versions) == ("m", 3, 1, (1,))
    assert found.buckets[math.inf] == 3 and list(found.buckets.values()) == sorted(found.buckets.values())
    slowest = found.quantile(1.0)
    assert slowest is not None and slowest > 0


def test_quantiles_lie_evenly_in_their_bucket() -> None:
    found = Counted(buckets={1000.0: 0, 2000.0: 8, 4000.0: 10, math.inf: 10})
    # the fifth of ten is the fifth of eight between 1 ms and 2 ms: 1 + 5/8
    assert found.quantile(0.5) == pytest.approx(0.001625)
    assert found.quantile(0.9) == pytest.approx(0.003)
    assert Counted(buckets={1000.0: 0, math.inf: 4}).quantile(0.5) == 0.001
    assert Counted().quantile(0.5) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# TYPE x counter",
        "x 1",
        'x{model_name="m"} 1 2 3',
        ':tensorflow:serving:request_count{model_name="m",status="OK"} much',
        ':tensorflow:serving:request_count{model_name="m",status="OK"} inf',
        ':tiphys:serving:queued_requests{model_name="m",version="new"} 0',
    ],
)
def test_what_is_no_count_is_passed_over(line: str) -> None:
    assert counted(line) == {}


def test_names_are_what_they_were_and_replicas_add_up() -> None:
    line = ':tensorflow:serving:request_count{model_name="a \\"b\\"\\\\n\\n",status="OK"} 2\n'
    ((name, one),) = counted(line).items()
    assert name == 'a "b"\\n\n'
    other = Counted(3, 1, (2, 1), 1, {10.0: 1, math.inf: 3})
    both = together([one, other])
    assert (both.answered, both.refused, both.versions, both.queued) == (5, 1, (1, 2), 1)
    assert both.buckets == {10.0: 1, math.inf: 3}
