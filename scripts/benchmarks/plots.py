"""Trials per second against their duration, and against ranks, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Points = list[tuple[int, float, float]]

# Two runs that measured the same draw the same file.
_SAME = {"svg.hashsalt": "experimenter_mpi", "svg.fonttype": "none"}
# Where trials that do nothing stand on an axis of durations.
NO_OP_SECONDS = 1e-5


def draw(points: Points, by_duration: Path, by_ranks: Path) -> None:
    """Draw both plots into these files."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with plt.rc_context(_SAME):
        for path, paint in ((by_duration, _by_duration), (by_ranks, _by_ranks)):
            figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
            axes.set(xscale="log", yscale="log", ylabel="trials/s, each durable")
            axes.minorticks_off()
            paint(axes, points)
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
            figure.savefig(path, metadata={"Date": None})
            plt.close(figure)


def _by_duration(axes: Any, points: Points) -> None:
    for ranks in sorted({point[0] for point in points}):
        line = sorted((s or NO_OP_SECONDS, rate) for r, s, rate in points if r == ranks)
        drawn = axes.plot(*zip(*line, strict=True), "o-", label=f"{ranks} ranks")
        ideal = [(s, (ranks - 1) / s) for s, _ in line if s > NO_OP_SECONDS]
        axes.plot(*zip(*ideal, strict=True), ":", color=drawn[0].get_color())
    axes.set_xlabel("seconds that a trial takes (dotted: workers / duration)")
    axes.set_xticks([NO_OP_SECONDS, 1e-3, 1e-2, 1e-1])
    axes.set_xticklabels(["no-op", "1 ms", "10 ms", "100 ms"])


def _by_ranks(axes: Any, points: Points) -> None:
    for seconds in sorted({point[1] for point in points}):
        line = sorted((r, rate) for r, s, rate in points if s == seconds)
        name = f"{seconds * 1000:.0f} ms" if seconds else "no-op"
        drawn = axes.plot(*zip(*line, strict=True), "o-", label=name)
        if seconds:
            ideal = [(ranks, (ranks - 1) / seconds) for ranks, _ in line]
            axes.plot(*zip(*ideal, strict=True), ":", color=drawn[0].get_color())
    ticks = sorted({point[0] for point in points})
    axes.set_xlabel("ranks, one of which coordinates (dotted: workers / duration)")
    axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
