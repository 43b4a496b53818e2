"""An attempt: whatever a trial does ends in an outcome, never in an exception."""

from __future__ import annotations

import sys
import uuid

import numpy as np
import pytest

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import (
    ConfigurationError,
    DatabaseWriteError,
    EncodingError,
    TrialInterrupted,
)
from experimenter_mpi.experiment.experiment import Trial
from experimenter_mpi.trial.attempt import attempt, describe
from experimenter_mpi.trial.context import (
    Context,
    current,
    get_global_store,
    save_snapshot_in_global_database,
)
from experimenter_mpi.trial.outcome import Status
from experimenter_mpi.trial.store import Store
from support.fakes import InlineArrays

TRIAL = Trial(uuid.uuid4(), uuid.uuid4(), 7, {"n": 3})


@pytest.fixture
def context():
    return Context("heat", None, InlineArrays(), Drain(), Store({"offset": 1}))


@pytest.fixture
def run(context):
    return lambda function: attempt(function, TRIAL, context)


def test_a_trial_is_given_its_configuration_and_its_id(run):
    given = []

    def trial(*arguments):
        given.extend(arguments)
        return {}

    run(trial)

    assert [TRIAL.configuration, TRIAL.id] == given


def test_what_a_trial_returns_is_encoded_as_it_will_be_stored(run):
    outcome, exception = run(lambda c, _: {"double": 2 * c["n"]})

    assert (7, Status.FINISHED, None) == (
        outcome.index,
        outcome.status,
        outcome.failure,
    )
    assert '{"double":6}' == outcome.results.document
    assert exception is None


def test_a_trial_that_raises_is_recorded_with_its_traceback(run):
    def trial(configuration, trial_id):
        raise ValueError("n is odd")

    outcome, exception = run(trial)

    assert (Status.FAILED, None) == (outcome.status, outcome.results)
    assert ("ValueError", "n is odd") == outcome.failure[:2]
    assert outcome.failure.traceback.endswith("ValueError: n is odd\n")
    assert isinstance(exception, ValueError)


def test_its_traceback_begins_at_the_users_own_code(run):
    def trial(configuration, trial_id):
        raise ValueError("n is odd")

    first_frame = run(trial).outcome.failure.traceback.splitlines()[1]

    assert __file__ in first_frame
    assert first_frame.endswith("in trial")


def test_the_frames_below_the_users_code_stay(run):
    """The user called a function of this package in the wrong way, and sees where."""

    def trial(configuration, trial_id):
        get_global_store()["missing"]

    text = run(trial).outcome.failure.traceback

    assert text.index("in trial") < text.index("store.py")


def test_the_cause_of_an_error_is_part_of_its_traceback(run):
    def trial(configuration, trial_id):
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("no key") from error

    text = run(trial).outcome.failure.traceback

    assert "KeyError: 'key'" in text
    assert "The above exception was the direct cause" in text


def test_a_trial_that_was_interrupted_goes_back_to_pending(run):
    def trial(configuration, trial_id):
        raise TrialInterrupted

    outcome, exception = run(trial)

    assert (Status.PENDING, None, None) == outcome[1:4]
    assert isinstance(exception, TrialInterrupted)


def test_ctrl_c_is_no_failure_of_the_trial_it_hits(run, context):
    """By then the run drains: it has heeded the first one itself."""

    def trial(configuration, trial_id):
        context.watch.request("SIGINT")
        raise KeyboardInterrupt

    outcome, exception = run(trial)

    assert (Status.PENDING, None, None) == outcome[1:4]
    assert isinstance(exception, KeyboardInterrupt)


@pytest.mark.parametrize("code", [0, 3, None, "the end"])
def test_a_trial_that_exits_ends_itself_and_no_rank(run, code):
    outcome, _ = run(lambda *_: sys.exit(code))

    assert Status.FAILED == outcome.status
    assert ("SystemExit", f"the trial called sys.exit({code!r})") == outcome.failure[:2]


@pytest.mark.parametrize("results", [None, 3, [1], "text"])
def test_results_that_are_no_dict_are_a_failure_that_says_what_to_return(run, results):
    def simulate(configuration, trial_id):
        return results

    outcome, exception = run(simulate)

    assert Status.FAILED == outcome.status
    assert "EncodingError" == outcome.failure.type
    assert (
        f"simulate returned {type(results).__name__}; a trial must return a dict"
        in (outcome.failure.message)
    )
    assert isinstance(exception, EncodingError)


def test_results_that_cannot_be_stored_are_a_failure_that_names_them(run):
    outcome, _ = run(lambda *_: {"stream": sys.stdout})

    assert Status.FAILED == outcome.status
    assert "EncodingError" == outcome.failure.type
    assert "'stream'" in outcome.failure.message


def test_an_error_of_this_package_is_a_failure_like_any_other(run):
    def trial(configuration, trial_id):
        raise ConfigurationError("n is too small")

    assert ("ConfigurationError", "n is too small") == run(trial).outcome.failure[:2]


def test_inside_a_trial_its_context_is_there_and_afterwards_no_more(run):
    outcome, _ = run(lambda *_: {"offset": get_global_store()["offset"]})

    assert '{"offset":1}' == outcome.results.document
    assert current.get(None) is None


def test_a_failed_trial_leaves_its_context_too(run):
    run(lambda *_: 1 / 0)

    assert current.get(None) is None


def test_the_results_are_encoded_inside_the_trial_and_count_in_its_time(context):
    """Encoding may write gigabytes of arrays, and may fail like the trial itself."""

    class SlowArrays(InlineArrays):
        def write(self, encoded):
            raise OSError("no space left on device")

    slow = context._replace(arrays=SlowArrays())
    outcome, _ = attempt(lambda *_: {"spins": np.zeros(3)}, TRIAL, slow)

    assert ("OSError", "no space left on device") == outcome.failure[:2]


def test_its_times_fit_together(run):
    outcome, _ = run(lambda *_: {})

    assert 0 <= outcome.duration
    took = outcome.finished_at - outcome.started_at
    assert took == pytest.approx(outcome.duration, abs=2e-6)


class Broken(Exception):  # noqa: N818
    """An exception of a user's that cannot even be shown."""

    def __str__(self):
        raise RuntimeError("no words")


def test_an_exception_that_cannot_be_shown_is_recorded_all_the_same(run):
    def trial(configuration, trial_id):
        raise Broken

    failure = run(trial).outcome.failure

    assert ("Broken", "(its message cannot be shown)") == failure[:2]
    assert "Broken" in failure.traceback


def test_a_message_of_a_class_that_only_the_user_knows_is_plain_text(run):
    class Words(str):
        __slots__ = ()

    class Odd(Exception):  # noqa: N818 - a user's
        def __str__(self):
            return Words("odd")

    def trial(*_):
        raise Odd

    message = run(trial).outcome.failure.message
    assert (str, "odd") == (type(message), message)


def test_a_message_of_megabytes_is_kept_in_short_and_once(run):
    begin, end = "began with 1.5, ", "and ended with 2.5"

    def trial(configuration, trial_id):
        raise ValueError(begin + "x" * 5_000_000 + end)

    failure = run(trial).outcome.failure

    assert failure.message.startswith(begin)
    assert failure.message.endswith(end)
    assert "characters are left out here" in failure.message
    assert 9_000 < len(failure.message) <= 10_000
    assert "in trial" in failure.traceback
    assert failure.traceback.endswith(f"{end}\n")
    assert len(failure.traceback) < 2_000


def test_a_message_of_a_few_lines_is_kept_as_it_is(run):
    message = "matrix is singular:\n" + "1.0 " * 200

    def trial(configuration, trial_id):
        raise ValueError(message)

    failure = run(trial).outcome.failure

    assert failure.message == message
    assert failure.traceback.endswith(f"ValueError: {message}\n")


def test_a_traceback_of_megabytes_keeps_its_two_ends(run):
    def trial(configuration, trial_id):
        error = ValueError("the first")
        for number in range(2_000):
            later = ValueError(f"{number} {'y' * 500}")
            later.__cause__ = error
            error = later
        raise error

    failure = run(trial).outcome.failure

    assert "the first" in failure.traceback[:1000]
    assert "characters are left out here" in failure.traceback
    assert "ValueError: 1999 y" in failure.traceback[-1000:]
    assert 99_000 < len(failure.traceback) <= 100_000


def test_an_exception_that_breaks_the_traceback_is_described_without_one():
    class Worse(Exception):  # noqa: N818
        @property
        def __cause__(self):
            raise RuntimeError("no cause")

    failure = describe(Worse("bad"))

    assert ("Worse", "bad") == failure[:2]
    assert "Worse: bad" in failure.traceback


# --- what the run's own storage refuses


class FullDisk:
    """Arrays on a disk that is full; or a services before one."""

    def write(self, encoded):
        raise DatabaseWriteError("the disk is full")

    def save_snapshot(self, trial_id, state, label):
        raise DatabaseWriteError("the disk is full")


def keep_in_vain(configuration, trial_id):
    save_snapshot_in_global_database(trial_id, {"spins": np.zeros(3)})


def keep_in_vain_and_say_it_in_other_words(configuration, trial_id):
    try:
        keep_in_vain(configuration, trial_id)
    except DatabaseWriteError as error:
        raise RuntimeError("my own words") from error


def mistake_the_disk_for_something_else(configuration, trial_id):
    try:
        keep_in_vain(configuration, trial_id)
    except DatabaseWriteError as error:
        error.no_such_thing  # noqa: B018


@pytest.mark.parametrize(
    ("function", "place"),
    [
        (lambda _, __: {"spins": np.zeros(3)}, "arrays"),
        (keep_in_vain, "arrays"),
        (keep_in_vain, "services"),
        (keep_in_vain_and_say_it_in_other_words, "services"),
        (mistake_the_disk_for_something_else, "services"),
    ],
)
def test_a_full_disk_is_not_the_trials_failure(function, place, context):
    outcome, _ = attempt(function, TRIAL, context._replace(**{place: FullDisk()}))

    assert (Status.PENDING, None) == (outcome.status, outcome.results)
    assert ("DatabaseWriteError", "the disk is full") == outcome.failure[:2]


def test_a_database_of_the_trials_own_that_fails_is_its_failure(run):
    def trial(configuration, trial_id):
        raise DatabaseWriteError("my other database is full")

    outcome, _ = run(trial)

    assert (Status.FAILED, "my other database is full") == (
        outcome.status,
        outcome.failure.message,
    )


class WordlessError(Exception):
    """Leaves when it is asked what it says."""

    def __str__(self):
        raise SystemExit(3)


class Kind(type):
    """Leaves when it is asked for a class's name."""

    @property
    def __name__(cls):
        sys.exit(4)


class NamelessError(Exception, metaclass=Kind):
    """Has a name that cannot be asked for."""


class UnlikeError(Exception):
    """Leaves when it is asked for its class or its cause."""

    def __getattribute__(self, name):
        raise KeyboardInterrupt


HOSTILE = [WordlessError, NamelessError, UnlikeError]


@pytest.mark.parametrize("kind", HOSTILE, ids=["word", "name", "class"])
def test_an_exception_that_leaves_when_it_is_described_is_a_failure(run, kind):
    def trial(configuration, trial_id):
        raise kind

    outcome = run(trial).outcome

    assert Status.FAILED == outcome.status
    assert outcome.failure.traceback
