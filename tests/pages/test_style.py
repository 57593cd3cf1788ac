"""Colours can be read, in light and in dark (WCAG 2: 4.5 to 1 for text)."""

from __future__ import annotations

import re

import pytest

from tiphys.pages.style import CSS, POLICY

LIGHT, DARK = (
    dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]{3,6})", block))
    for block in re.findall(r":root\{(.*?)\}", CSS, re.S)
)


def luminance(colour: str) -> float:
    text = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(text[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_stand_out(theme: dict[str, str]) -> None:
    for name in ("ink", "soft", "ok", "bad", "run", "hit"):
        assert contrast(theme[name], theme["card"]) >= 4.5, name
    for name in ("wait", "none", *(f"c{place}" for place in range(8))):  # lines, marks and large words
        assert contrast(theme[name], theme["card"]) >= 3, name


def test_both_themes_have_the_same_names() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_nothing_is_loaded() -> None:
    assert "url(" not in CSS and "@import" not in CSS and "default-src 'none'" in POLICY
