"""docs/performance.md: what was measured, on what, with plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import plots
from .figures import markdown, text
from .launching import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .figures import Section

DOCS = ROOT / "docs"
HEAD = """\
# Performance

Written by `scripts/benchmark --write`, which anyone can run: it makes its own
environment, launches this package and its peers in turn on the same ranks, and takes
medians. Figures of one table come from one run and may be compared; those of different
machines may not. What does not reach what is required of it says **no**."""

PLOTS = """\
![Trials per second against their duration](performance-duration.svg)

![Trials per second against ranks](performance-ranks.svg)"""


def write(machine: Mapping[str, str], sections: Mapping[str, Section]) -> None:
    """Write the page and its plots."""
    facts = markdown(("measured on", ""), list(machine.items()))
    parts = [HEAD, facts]
    for name, section in sections.items():
        parts.append(text(section))
        if name == "scaling":
            files = (DOCS / f"performance-{by}.svg" for by in ("duration", "ranks"))
            plots.draw(section.points, *files)
            parts.append(PLOTS)
    (DOCS / "performance.md").write_text("\n\n".join(parts) + "\n")
