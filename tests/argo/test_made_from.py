"""Names that Kubernetes takes for annotations."""

from __future__ import annotations

import re

from tiphys.argo.made_from import MADE_FROM


def test_what_follows_makes_a_name_of_an_annotation() -> None:
    prefix, _, name = f"{MADE_FROM}environment".partition("/")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", prefix)
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", name)
