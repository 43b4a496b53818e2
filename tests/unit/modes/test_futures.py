"""The port of DistributedMode: what executors and ranks say, as one worker would."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.errors import WorkerDiedError
from experimenter_mpi.modes.futures import FuturesPort
from experimenter_mpi.mpi.lanes import BatchEnd
from experimenter_mpi.trial.outcome import Place
from support.fakes import FakeTransport, encoded, outcome

PLACES = {1: Place(1, "node1"), 2: Place(2, "node2")}
QUESTION = m.FetchResults("a trial")


class Pool:
    """An executor whose tasks end when a test says so."""

    def __init__(self):
        self.tasks = []
        self.is_shut_down = False

    def submit(self, _function, ranges):
        future = Future()
        self.tasks.append((ranges, future))
        return future

    def shutdown(self, *, wait):
        self.is_shut_down = wait

    def end(self, number, rank, *indices, sent=0):
        outcomes = tuple(map(outcome, indices))
        self.tasks[number][1].set_result(BatchEnd(PLACES[rank], outcomes, sent))


class Executors:
    """A port over two ranks, its pool and its transport."""

    def __init__(self):
        self.pool = Pool()
        self.transport = FakeTransport(0, 3)
        self.port = FuturesPort(self.transport, PLACES, [self.pool])
        assert [(1, m.Ready(None)), (2, m.Ready(None))] == self.told()

    def told(self):
        """Return all that has come."""
        arrivals = []
        while (arrival := self.port.poll()) is not None:
            arrivals.append(arrival)
        return arrivals

    def assign(self, worker, *ranges):
        self.port.send(worker, m.Assign(ranges))

    def say(self, rank, message):
        self.transport.inbox.append((rank, message))


@pytest.fixture
def executors():
    return Executors()


def begun(worker, index, rank):
    return worker, m.Begun(index, PLACES[rank])


def finished(worker, *indices):
    return worker, m.Finished(tuple(map(outcome, indices)))


def test_each_executor_has_a_worker_for_each_rank():
    port = FuturesPort(FakeTransport(0, 3), PLACES, [Pool(), Pool()])

    assert [1, 2, 3, 4] == port.workers


def test_a_batch_goes_through_the_executor_and_its_result_tells_where_it_ran(executors):
    executors.assign(1, (3, 5), (7, 8))
    [(ranges, _)] = executors.pool.tasks
    executors.pool.end(0, 2, 3, 4, 7)

    assert ((3, 5), (7, 8)) == ranges
    assert [begun(1, 3, 2), finished(1, 3, 4, 7)] == executors.told()


def test_where_a_batch_runs_is_told_when_it_begins_and_not_again(executors):
    executors.assign(1, (0, 2))
    executors.assign(2, (2, 4))
    executors.say(1, m.Begun(2))
    assert [begun(2, 2, 1)] == executors.told()

    executors.pool.end(1, 1, 2, 3)
    assert [finished(2, 2, 3)] == executors.told()


def test_that_a_batch_begins_may_be_heard_after_its_end(executors):
    """Executors and ranks have different ways to rank 0."""
    executors.assign(1, (0, 1))
    executors.pool.end(0, 1, 0)
    executors.told()
    executors.say(1, m.Begun(0))

    assert [] == executors.told()


def test_what_was_sent_before_the_end_of_a_batch_is_told_before_it(executors):
    executors.assign(1, (0, 3))
    executors.pool.end(0, 1, 2, sent=2)
    assert [] == executors.told()

    executors.say(1, m.Begun(0))
    executors.say(1, m.Finished((outcome(0), outcome(1))))
    assert [begun(1, 0, 1), finished(1, 0, 1), finished(1, 2)] == executors.told()


def test_a_next_batch_waits_for_the_end_of_the_one_before(executors):
    executors.assign(1, (0, 1))
    executors.assign(1, (1, 2))
    assert 1 == len(executors.pool.tasks)

    executors.pool.end(0, 1, 0)
    executors.told()
    assert [((0, 1),), ((1, 2),)] == [ranges for ranges, _ in executors.pool.tasks]


def test_a_drain_is_told_to_each_rank_once_and_each_worker_gives_back(executors):
    executors.assign(1, (0, 3))
    executors.assign(1, (3, 6))
    for worker in (1, 2):
        executors.port.send(worker, m.StopWork("SIGTERM", 60.0))
    assert [(2, m.WorkStopped())] == executors.told()
    assert [(rank, m.StopWork("SIGTERM", 60.0)) for rank in (1, 2)] == (
        executors.transport.sent
    )

    executors.pool.end(0, 1, 0)
    assert [begun(1, 0, 1), finished(1, 0), (1, m.WorkStopped())] == executors.told()
    assert 1 == len(executors.pool.tasks)


def test_a_batch_that_was_drained_before_its_first_trial_says_nothing(executors):
    executors.assign(1, (0, 3))
    executors.port.send(1, m.StopWork("SIGTERM"))
    executors.pool.end(0, 1)

    assert [(1, m.WorkStopped())] == executors.told()


def test_an_answer_goes_to_the_rank_that_asks(executors):
    executors.say(2, QUESTION)
    [(asker, question)] = executors.told()
    executors.port.send(asker, m.ResultsFound(encoded()))

    assert QUESTION == question
    assert [(2, m.ResultsFound(encoded()))] == executors.transport.sent


def test_what_a_task_raises_ends_the_run(executors):
    executors.assign(1, (0, 1))
    executors.pool.tasks[0][1].set_exception(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        executors.told()


def test_an_end_that_comes_while_it_waits_is_told(executors):
    executors.assign(1, (0, 1))
    executors.transport.on_idle = lambda: executors.pool.end(0, 1, 0)

    assert begun(1, 0, 1) == executors.port.receive(1.0)


def test_without_a_rank_it_does_not_go_on(executors):
    """mpi4py.futures would wait for it for ever."""
    executors.transport.dead.append(2)

    with pytest.raises(WorkerDiedError, match="rank 2 has died"):
        executors.port.deaths()


def test_at_the_end_each_rank_is_released_and_waited_for(executors):
    left = iter([(2, m.Begun(0)), (2, m.WorkStopped()), (1, m.WorkStopped())])
    executors.transport.on_idle = lambda: executors.say(*next(left))
    executors.port.close()

    assert executors.pool.is_shut_down
    assert [(1, m.Release()), (2, m.Release())] == executors.transport.sent
    assert [] == list(left)


def test_ranks_of_which_none_can_work_say_why():
    refusal = m.Unable(PLACES[2], "StoreError", "no data")
    port = FuturesPort(FakeTransport(0, 3), {}, (), {2: refusal})
    port.send(2, m.Release())

    assert [2] == port.workers
    assert (2, refusal) == port.poll()
