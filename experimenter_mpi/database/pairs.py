"""The same experiment in two databases: whether it can be merged, and what is added."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from sqlalchemy import update

from ..errors import ExperimentMismatchError
from ..experiment.blocks import Blocks, Grid, Study, Table
from ..experiment.ranges import Numbers
from . import comparison, documents, studies
from .experiments import Experiments
from .file.tables import experiments
from .merging import Join, OtherAssumptionError, assumed, joined

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection, Row

    from ..experiment.experiment import Experiment
    from .file.storage import Storage


class Pair:
    """One experiment of a target, and that of the same name of a source."""

    def __init__(
        self, target: Storage, ours: Row[Any], source: Storage, theirs: Row[Any]
    ) -> None:
        self._target, self._ours = target, ours
        self._source, self._theirs = source, theirs
        self._there = studies.described(source, theirs)
        self._join: Join | None = None
        self._assume: dict[str, Any] = {}

    def number(self, theirs: int) -> int:
        """Return the number in the target of a trial of the source."""
        return theirs if self._join is None else self._join.number(theirs)

    def require_compatible(self) -> None:
        """Raise unless the two have trials in common, and the same functions."""
        ours = Experiments(self._target).made(self._ours)
        theirs = Experiments(self._source).made(self._theirs)
        lines = comparison.other_functions(ours, theirs)
        if not lines and comparison.different_seeds(theirs, ours):
            lines = [f"seed: {ours.seed} -> {theirs.seed}"]
        if lines:
            said = comparison.summary(lines)
            raise self._refused(f"with another function or seed: {said}")
        alike = self._alike()
        if alike == len(self._there):
            return  # all of its blocks are there, with the same numbers
        try:
            self._assume = assumed(
                studies.assumed(self._target, self._ours),
                studies.assumed(self._source, self._theirs),
            )
        except OtherAssumptionError as error:
            raise self._refused(f"where {error}") from None
        self._studies = _study(ours), _study(theirs)
        here, there = (study.blocks for study in self._studies)
        self._join = joined(here, there, alike, self._assume)
        if self._join.shares_nothing:
            lines = comparison.different_values(ours, theirs)
            what = f"with another configuration: {comparison.summary(lines)}"
            raise self._refused(f"{what}, and no trial in common")

    def _alike(self) -> int:
        """Return how many blocks are the same in both, from the first on."""
        ours = studies.described(self._target, self._ours)
        pairs = zip(ours, self._there, strict=False)
        return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))

    def _refused(self, what: str) -> ExperimentMismatchError:
        return ExperimentMismatchError(
            f"experiment '{self._ours.name}' of {self._source.name} is in "
            f"{self._target.name} {what}. Nothing of it was merged; rename one of them."
        )

    def add_blocks(self, connection: Connection) -> set[str]:
        """Add to the target the blocks that it lacks; return the arrays they need."""
        if self._join is None or not self._join.new:
            return set()
        ours, theirs = self._studies
        studies.name_configurations(connection, self._ours)
        first, wanted = ours.blocks.size, set()
        for place, block in self._join.new:
            document = _document(block, self._there[place].document)
            studies.add_block(connection, self._ours, first, block, document)
            wanted |= documents.references(document)
            first += block.size
        theirs_asked = self._join.asked(theirs.asked)
        asked = ours.asked | (theirs_asked & self._join.new_numbers)
        everything = Numbers([range(first)])
        studies.put_aside(connection, self._ours.sequence, everything - asked)
        values: dict[str, Any] = {"trial_count": first, "asked_count": asked.size}
        if asked == theirs_asked:
            values["configuration"] = self._theirs.configuration
            wanted |= documents.references(self._theirs.configuration)
        if self._assume:
            encoded = documents.encode_configuration(self._assume)
            values["assume"] = encoded.document
            wanted |= documents.references(encoded.document)
        mine = experiments.c.sequence == self._ours.sequence
        connection.execute(update(experiments).where(mine).values(values))
        return wanted


def _study(experiment: Experiment) -> Study:
    whole = Blocks([Grid(experiment.expansion)])
    return experiment.study or Study(whole, Numbers([range(experiment.size)]))


def _document(block: Grid | Table, document: str) -> str:
    """Return what is stored of a part of a block that is stored as ``document``."""
    if isinstance(block, Grid):
        return document
    return documents.encode_configuration(block.plain).document
