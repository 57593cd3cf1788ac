"""The training service: one API for any training code, a durable queue, and pools of teams."""

from __future__ import annotations
