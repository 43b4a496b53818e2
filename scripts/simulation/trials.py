"""The trials that are measured: none takes anything but time."""

from __future__ import annotations

import time
from typing import Any


def nothing(_: dict[str, Any], __: object) -> dict[str, Any]:
    """End at once."""
    return {}


def sleeping(configuration: dict[str, Any], _: object) -> dict[str, Any]:
    """Take time without taking a core."""
    time.sleep(configuration["seconds"])
    return {}
