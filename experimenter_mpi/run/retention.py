"""How many snapshots of a trial a run keeps."""

from __future__ import annotations

from ..errors import ConfigurationError


def kept_snapshots(given: object) -> int | None:
    """Return how many of the newest ``"all"``, ``"latest"`` or a number mean.

    None is all of them.

    Raises:
        ConfigurationError: it is something else.
    """
    if given in ("all", "latest"):
        return None if given == "all" else 1
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    msg = (
        'keep_snapshots must be "all", "latest" or a number of 1 or more, not '
        f"{given!r:.80}"
    )
    raise ConfigurationError(msg)
