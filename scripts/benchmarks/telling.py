"""The line that a launched program ends with."""

from __future__ import annotations

import json


def tell(**figures: object) -> None:
    """Print figures where ``launching.run`` finds them."""
    print(json.dumps(figures), flush=True)
