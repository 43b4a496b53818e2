"""Results and snapshots of other code: said once in a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..database.versions import finished_by
from ..program import program
from ..trial import code_versions as versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..trial.code_versions import Difference
    from .provenance import Code


def notice_of_results(
    session: Session,
    experiment: Experiment,
    others: Mapping[int, Difference],
    code: Code,
) -> str | None:
    """Return the line on results of another commit or version of the script, if any."""
    if not others:  # counting would read all trials
        return None
    counts = session.versions.finished_by_run(experiment.id)
    found = versions.notice("finished trial", others, counts, code)
    if found is None:
        return None
    sentence, runs = found
    path = shlex.quote(session.storage.path or "DB")
    chosen = f"--where {shlex.quote(finished_by(runs, counts))}"
    if len(runs) == 1:
        chosen = f"--run {runs[0]}"
    return (
        f"{sentence}, and kept; to rerun: {program()} reset {path} "
        f"{shlex.quote(experiment.name)} {chosen}"
    )


class Resumption:
    """Told of every snapshot that a trial asks for, and of which run it is."""

    def __init__(
        self,
        session: Session,
        others: Mapping[int, Difference],
        code: Code,
        note: Callable[[str], object],
    ) -> None:
        self._session = session
        self._others = others
        self._code = code
        self._note = note
        self._said = False

    def __call__(self, trial_id: str, run_id: int | None) -> None:
        """Report once that a snapshot was made with other code."""
        if self._said or run_id is None or run_id not in self._others:
            return
        self._said = True
        made = versions.notice("snapshot", self._others, {run_id: 1}, self._code)
        if made is not None:
            row = self._session.reports.trial(trial_id)
            path = shlex.quote(self._session.storage.path or "DB")
            name, index = shlex.quote(row["experiment"]), row["index"]
            self._note(
                f"{made[0]}, and trial {index} continues from it, as others may; to "
                f"start from scratch: {program()} reset {path} {name} {index}"
            )
