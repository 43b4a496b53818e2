"""``run --overwrite``: say what it deletes, and ask before results go."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from ..database.handle import session_of
from ..errors import NotFoundError, counted
from ..program import program
from ..run.share_reset import indices_of
from ..trial.outcome import Status
from .arguments import add_kept_snapshots, confirm
from .outline import Outline

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable

    from ..database.handle import ExperimentDatabase
    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..experiment.share import Share
    from .arguments import Parser


_EXTEND_HELP = (
    "go on with a configuration that has changed: run the trials that are new, keep "
    "those that are there, and set aside what is no longer asked for"
)


class StoredExperiment(NamedTuple):
    """What is stored by the name of an experiment."""

    name: str
    share: Share | None
    trials: int
    finished: int
    snapshots: int

    def __str__(self) -> str:
        finished = f"{self.finished} of {counted(self.trials, 'trial')} finished"
        name = f"'{self.name}'"
        if self.share is not None:
            name = f"share {self.share} of {name}"
        if not self.snapshots:
            return f"{name} ({finished})"
        return f"{name} ({finished}, {counted(self.snapshots, 'snapshot')})"


def add_what_is_kept(add: Callable[..., object]) -> None:
    """Add the options that say what is deleted."""
    add(
        "--overwrite",
        action="store_true",
        help="first delete stored experiments of the same name, with --share the "
        "trials of the share; asks if trials have finished",
    )
    add(
        "--yes",
        action="store_true",
        help="with --overwrite: do not ask for confirmation",
    )
    add("--extend", action="store_true", help=_EXTEND_HELP)
    add_kept_snapshots(add)


def require_whole(made: Parser, given: Namespace) -> None:
    """Refuse to delete all trials in order to run some, or to keep them as well."""
    if given.overwrite and given.extend:
        made.error("--extend keeps what is stored, and --overwrite deletes it")
    if given.overwrite and given.trial is not None:
        made.error(
            "--overwrite deletes the results of every trial, but --trial runs only "
            f"some: reset those with '{program()} reset {quote(given.db)} NAME "
            "INDEX', then run with --trial alone"
        )


def stored(
    experiments: Iterable[Experiment], session: Session, share: Share | None = None
) -> list[StoredExperiment]:
    """Return what overwriting these experiments deletes, or a share of them."""
    found = []
    for experiment in experiments:
        try:
            there = Outline(session, experiment.name)
        except NotFoundError:
            continue
        trials, chosen, finished = len(there), None, there.finished
        if share is not None:
            trials, chosen = share.size(trials), indices_of(share, [range(trials)])
            finished = session.trials.counts(there.id, share)[Status.FINISHED]
        snapshots = session.upkeep.count_snapshots(there.id, chosen)
        found.append(
            StoredExperiment(experiment.name, share, trials, finished, snapshots)
        )
    return found


def confirm_overwriting(
    experiments: Iterable[Experiment], database: ExperimentDatabase, given: Namespace
) -> None:
    """Ask where work would be lost: finished trials, or what others have saved."""
    if not given.overwrite:
        return
    there = stored(experiments, session_of(database), given.share)
    if any(each.finished or each.snapshots for each in there):
        names = ", ".join(map(str, there))
        confirm(f"Delete {names} from {given.db}?", yes=given.yes)
