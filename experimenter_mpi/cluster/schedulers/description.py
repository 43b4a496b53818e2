"""What the package knows of a scheduler: one ``Scheduler`` in a file for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..job import Job

    Ask = Callable[..., str | None]


class TaskVariables(NamedTuple):
    """How a task of a job array learns its index: variables, and the first index.

    Attributes:
        variable: The variable that holds this task's index.
        begins: The first index of an array that has all of its tasks.
        first: The variable of the array's first index; "" where there is none.
        last: That of its last index.
        step: That of the step between two indices.
        tasks: That of the number of tasks.
    """

    variable: str
    begins: int
    first: str = ""
    last: str = ""
    step: str = ""
    tasks: str = ""


class JobVariables(NamedTuple):
    """What a process can find out about the job that it is in.

    Attributes:
        slots: Return for how many ranks the job was asked, None if nothing says it.
        hosts: Return the job's hosts, maybe more than once each.
        ends_at: Return when the job ends, in seconds since the epoch, None if the
            scheduler does not say. Its arguments are the environment, the job's id and
            a function that runs a command and returns what it prints.
        task: How a task of a job array learns its index.
    """

    slots: Callable[[Mapping[str, str]], int | None]
    hosts: Callable[[Mapping[str, str]], list[str]]
    ends_at: Callable[[Mapping[str, str], str, Ask], float | None]
    task: TaskVariables


class ScriptWords(NamedTuple):
    """The words of a job script that differ between schedulers, as bash.

    Attributes:
        sign: What a directive begins with.
        commented: How a proposed directive is commented out.
        directives: Return the options of a job, one for each line.
        proposed: Options that many sites want besides: the attribute of a job that
            makes one needless, and the option.
        in_job: What is empty outside of a job; None where no variable tells.
        submitted_in: The folder that the job was submitted from.
        ranks: Return the number of ranks that the job was given.
        share: Which task of an array this is, from 1.
        chain: The name of a chain of runs. It outlives a requeue, or is handed on by
            the run before.
        again: How a job runs once more; it ends the script.
        needs: The scheduler's commands that this takes on the job's node.
        resubmits: Whether a job submits its successor, since it cannot be requeued.
        submits_file: Whether the successor is read from the script's file again.
        begins: Return lines that come before all others.
        remarks: Return what a reader must know of the directives, a line each.
        keeps_first: How options begin whose first one counts, not the last.
        staged_python: Commented lines that copy Python to the nodes; None for the
            lines that serve one node.
        exports: Return variables for the launcher, each a line.
    """

    sign: str
    commented: str
    directives: Callable[[Job], Iterator[str]]
    proposed: tuple[tuple[str | None, str], ...]
    in_job: str | None
    submitted_in: str
    ranks: Callable[[Job], str]
    share: str
    chain: str
    again: str
    needs: tuple[str, ...] = ()
    resubmits: bool = False
    submits_file: bool = False
    begins: Callable[[Job], Iterator[str]] = lambda _job: iter(())
    remarks: Callable[[Job], Iterator[str]] = lambda _job: iter(())
    keeps_first: str | None = None
    staged_python: str | None = None
    exports: Callable[[Job], Iterator[str]] = lambda _job: iter(())


class Commands(NamedTuple):
    """The scheduler's own commands.

    Attributes:
        submit: The command that submits a script and prints little but its number.
        after: Return the option that waits for other jobs, however they end.
        log: Return where the output of a job of this number goes; a * where each task
            of an array has its own.
        number: A pattern of the job's number in what is printed; its first group.
        follow: The command that is followed by job numbers to look at them.
        between: What stands between those numbers.
        cancel: The command that ends jobs.
        reads_input: Whether the script is read from standard input.
        submits_tasks: The shell loop that submits an array, where there are none; with
            ``{shares}`` and the ``{line}`` that submits task ``$k``.
    """

    submit: tuple[str, ...]
    after: Callable[[Sequence[str]], list[str]]
    log: Callable[[Job, str], str]
    number: str
    follow: str
    between: str
    cancel: str
    reads_input: bool = False
    submits_tasks: str | None = None


class Listing(NamedTuple):
    """How the scheduler is asked for the states of jobs.

    Attributes:
        command: Return the command that lists these jobs.
        pattern: A pattern of a job and its state in what is printed: two groups.
        queued: A pattern of the states of jobs that wait.
        ended: A pattern of the states of jobs that have ended; all others run.
        forgotten: A pattern of what it says where it does not know a job any more.
    """

    command: Callable[[Sequence[str]], list[str]]
    pattern: str
    queued: str
    ended: str
    forgotten: str = r"(?!)"


class Scheduler(NamedTuple):
    """A scheduler: its name for people, and what is to be known of it."""

    name: str
    variables: JobVariables
    script: ScriptWords
    commands: Commands
    listing: Listing
