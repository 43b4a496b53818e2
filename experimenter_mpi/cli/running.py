"""What a run does now, rank by rank, as ``status`` shows it; or did when it died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..database.file.owner import read_owner
from ..run import live
from ..run.progress import duration, pace
from .layout import say
from .table import print_table

if TYPE_CHECKING:
    from ..run.live import Live

RANKS_SHOWN = 20
# Rank 0 writes every 15 s. Where it has not for so long, something keeps it from it.
SILENT_SECONDS = 60.0


class Found(NamedTuple):
    """What the last run said of itself, and whether it is still on."""

    said: Live
    is_on: bool


def look(database: str, *, is_locked: bool) -> Found | None:
    """Return what the database's last run said of itself, unless it has ended."""
    said = live.read(database)
    if said is None:
        return None
    holder = read_owner(f"{database}.lock")
    return Found(said, is_locked and holder is not None and holder.token == said.token)


def for_programs(found: Found | None, *, verbose: bool) -> dict[str, Any] | None:
    """Return the same for JSON; the trail only when it is asked for."""
    if found is None:
        return None
    said = found.said
    left = (said.total - said.done) / said.rate if said.rate else None
    state = {"is_on": found.is_on, **said._asdict(), "seconds_left": left}
    state["running"] = [each._asdict() for each in said.running]
    for name in ["token"] if verbose else ["token", "trail"]:
        del state[name]
    return state


def show(state: dict[str, Any]) -> None:
    """Print who runs what for how long, the last error and, if it is there, the trail.

    ``state`` is what ``for_programs`` returned.
    """
    print()
    say(_header(state))
    rows = [
        [str(each["rank"]), each["host"], str(each["trial"]), duration(each["seconds"])]
        for each in state["running"][:RANKS_SHOWN]
    ]
    if rows:
        print_table(("rank", "host", "trial", "for"), rows)
    if state["busy"] > len(rows):
        say(f"and {state['busy'] - len(rows)} more")
    if state["last_error"] is not None:
        say(f"last error: {state['last_error']}", hanging=2)
    if "trail" in state:
        say("last messages and decisions of rank 0, in seconds since it began:")
        for line in state["trail"]:
            say(f"  {line}", hanging=4)


def _header(state: dict[str, Any]) -> str:
    done = f"{state['done']} of {state['total']} trials"
    if state["rate"]:
        left = duration(state["seconds_left"])
        done += f", {pace(state['rate'])}, {left} left"
    name, when = state["experiment"], f"{duration(state['age'])} ago"
    if not state["is_on"]:
        return f"{name}: the run died; what it ran {when} ({done}):"
    if state["age"] > SILENT_SECONDS:
        return f"{name}: rank 0 has written nothing since it ran this, {when} ({done}):"
    return f"{name}: what runs, as rank 0 wrote {when} ({done}):"
