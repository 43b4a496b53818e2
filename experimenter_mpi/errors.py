"""Every exception this package raises on purpose: one place, so that none is a cycle.

* ExperimenterError
  x ConfigurationError (ValueError)    the experiment as written cannot be expanded
  x ScriptError                        exp.py cannot be loaded, or lacks a function
  x StoreError                         the store cannot be built, or there is none
  x OutsideTrialError (RuntimeError)   an in-trial function was called elsewhere
  x TrialInterrupted                   raised by a trial that was asked to stop
  x TrialError                         a trial raised; has its traceback, rank, host
    + RankDiedError                    its rank died while it ran, and did so before
    + TrialProcessError                its process died: a crash, os._exit, no memory
    + TrialTimeoutError                it ran longer than --trial-timeout
  x TrialNotFinishedError (LookupError)  the results of such a trial were asked for
  x IsolationError                     a trial cannot have a process of its own
  x EncodingError (TypeError)          a value cannot be stored
  x PickleRefusedError                 a stored value is a pickle: none may be read
  x MissingPackageError (ImportError)  an optional package is not installed
  x LaunchError                        MPI is missing, or was started wrongly
    + WorkerDiedError                  a worker died that the others cannot do without
  x JobScriptError (ValueError)        no job script can be written or submitted so
  x ProtocolError                      a rank said something it may not say
  x DatabaseError
    + NotFoundError (LookupError)      no such experiment or trial
    + ExperimentMismatchError (ValueError)  same name, another configuration
    + ForeignDatabaseError             a file of another program, or no database
    + SchemaVersionError               written by a newer version of this package
    + DatabaseLockedError              another run is writing
    + DatabaseWriteError               read-only, unwritable or full
    + NotCoordinatorError (RuntimeError)  only rank 0 holds the database
    + CorruptDocumentError (ValueError)  a stored value that this package never wrote

Warnings: PickledValueWarning, a value was pickled since no rule stores it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExperimenterError(Exception):
    """Base of all errors of this package; the message says what to do next."""


class ConfigurationError(ExperimenterError, ValueError):
    """The experiment as written cannot be expanded into trials."""


class ScriptError(ExperimenterError):
    """A script cannot be loaded, holds no experiment, or lacks a named function."""


class StoreError(ExperimenterError):
    """The global store could not be built, or the experiment has none."""


class OutsideTrialError(ExperimenterError, RuntimeError):
    """A function that only a running trial may call was called elsewhere."""


class TrialInterrupted(ExperimenterError):  # noqa: N818 - a request, not a failure
    """Raised by a trial that was asked to stop: it goes back to pending, not failed."""


class TrialError(ExperimenterError):
    """A trial raised and the run was told to stop at the first failure.

    ``traceback`` is the text of the trial's own traceback; ``rank`` and ``hostname``
    say where it ran.
    """

    def __init__(
        self, message: str, *, traceback: str = "", rank: int = 0, hostname: str = ""
    ) -> None:
        super().__init__(message)
        self.traceback = traceback
        self.rank = rank
        self.hostname = hostname


class RankDiedError(TrialError):
    """Twice a rank died, or the whole job, while the trial ran."""


class TrialProcessError(TrialError):
    """The process that ran the trial died: a crash, ``os._exit``, out of memory."""


class TrialTimeoutError(TrialError):
    """The trial ran longer than ``trial_timeout``."""


class TrialNotFinishedError(ExperimenterError, LookupError):
    """A result was asked of a trial that has none: it is pending, running or failed."""


class IsolationError(ExperimenterError):
    """Trials cannot run in processes of their own: no file to load, or no process."""


class EncodingError(ExperimenterError, TypeError):
    """A value cannot be stored, not even by pickling it."""


class PickleRefusedError(ExperimenterError):
    """A stored value is a pickle, and this database was opened without allow_pickle."""


class MissingPackageError(ExperimenterError, ImportError):
    """What was asked for needs a package that is not installed."""


def missing_package(package: str, extra: str) -> MissingPackageError:
    """Return the error that says how to install a package of one of our extras."""
    msg = f"{package} is not installed: pip install 'experimenter_mpi[{extra}]'"
    return MissingPackageError(msg)


class LaunchError(ExperimenterError):
    """No MPI library can be loaded, or the launcher started separate worlds."""


class WorkerDiedError(LaunchError):
    """A worker has died, and the others cannot go on without it: run again."""


class JobScriptError(ExperimenterError, ValueError):
    """A job script cannot be written as it was asked for, or not be submitted."""


class ProtocolError(ExperimenterError):
    """A rank sent a message it may not send: a bug in this package."""


class DatabaseError(ExperimenterError):
    """Base of what can be wrong with a database."""


class NotFoundError(DatabaseError, LookupError):
    """The database has no such experiment or trial."""


class ExperimentMismatchError(DatabaseError, ValueError):
    """An experiment of this name is stored with another configuration."""


class ForeignDatabaseError(DatabaseError):
    """The file is no SQLite database, or one of another program."""


class SchemaVersionError(DatabaseError):
    """The database was written by a newer version, or must be upgraded first."""


class DatabaseLockedError(DatabaseError):
    """Another run is writing to this database."""


class DatabaseWriteError(DatabaseError):
    """The database cannot be written: read-only, no permission, disk full."""


class NotCoordinatorError(DatabaseError, RuntimeError):
    """A worker rank asked for the database, which only rank 0 holds."""


class CorruptDocumentError(DatabaseError, ValueError):
    """A stored document or array is not what this package writes."""


class SaidByRank0:
    """An error that another process of the job says: this one is silent about it."""


class EndsRun:
    """An error of the run's own storage that a trial met: no other could be kept."""


class WorkLeft:
    """An error that ends a run, of which other trials are left to run."""


Error = TypeVar("Error", bound=ExperimenterError)


def marked(error: Error, mark: type) -> Error:
    """Return an error of the same class, name and text that is a ``mark`` as well."""
    kind = type(error)
    if issubclass(kind, mark):
        return error
    made: Error = type(kind.__name__, (mark, kind), {})(*error.args)
    return made


class PickledValueWarning(UserWarning):
    """A value was pickled, since no rule of the codec stores it readably."""


def pickle_warning(path: str, kind: str) -> PickledValueWarning:
    """Return the warning of a value of this type that was pickled."""
    return PickledValueWarning(
        f"'{path}' is a {kind}, which has no readable stored form: it was pickled, "
        "and reading it back needs allow_pickle=True (--allow-pickle)"
    )


def printable(text: str) -> str:
    """Return text with what would command a terminal written out; lines stay lines.

    Names, labels and messages in a database may be anybody's.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in "\n\t"
        else each.encode("unicode_escape").decode()
        for each in text
    )


def counted(number: int, what: str) -> str:
    """Return a number of things as people say it: 1 rank, 2 ranks, 1,000 processes."""
    plural = "es" if what.endswith("s") else "s"
    return f"1 {what}" if number == 1 else f"{number:,} {what}{plural}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean this or that?``, or nothing if no known word is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known))
    return f"; did you mean {' or '.join(near)}?" if near else ""


def text_of(error: BaseException) -> str:
    """Return an exception's message, whatever its class does when it is asked."""
    try:
        return str.__str__(str(error))  # not of a class that only the user knows
    except BaseException:  # noqa: BLE001 - a broken __str__ must not break the run
        return "(its message cannot be shown)"


def rebuilt(name: str, message: str) -> ExperimenterError:
    """Make an error of this module again from its class name and text.

    This is how an error crosses ranks: pickled exceptions need not unpickle.
    """
    found = globals().get(name)
    if isinstance(found, type) and issubclass(found, ExperimenterError):
        return found(message)
    return ExperimenterError(message)
