"""Experiments: trials computed from an index, with ids a restart finds again."""

from __future__ import annotations

import pickle
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.errors import ConfigurationError, TrialNotFinishedError
from experimenter_mpi.experiment.experiment import Experiment, Trial, TrialIds
from experimenter_mpi.experiment.variables import IntegerVariable

AN_ID = uuid.UUID("12345678-1234-4678-9234-567812345678")
INDICES = st.integers(0, 2**48 - 1)


def compute(configuration, trial_id):
    return {}


class Solver:
    """Functions may be methods, or objects that can be called."""

    def run(self, configuration, trial_id):
        return {}

    def __call__(self, configuration, trial_id):
        return {}


def make(name="heat", **others):
    others.setdefault("configuration", {"n": IntegerVariable(1, 5)})
    if "function" not in others:
        others.setdefault("function_name", "compute")
    return Experiment(name, **others)


# --- the ids of trials


@given(st.uuids(), INDICES)
def test_an_id_is_a_well_formed_uuid_of_version_8(experiment_id, index):
    trial_id = TrialIds(experiment_id)[index]

    assert (8, uuid.RFC_4122) == (trial_id.version, trial_id.variant)


@given(st.uuids(), INDICES)
def test_the_text_of_an_id_is_made_without_the_id(experiment_id, index):
    ids = TrialIds(experiment_id)

    assert str(ids[index]) == ids.text(index)


@given(st.uuids(), INDICES)
def test_the_index_can_be_read_off_the_id(experiment_id, index):
    ids = TrialIds(experiment_id)

    assert index == ids.index(ids[index]) == ids.index(ids.text(index))


@given(st.uuids(), st.lists(INDICES))
def test_ids_sort_as_their_trials(experiment_id, indices):
    ids = TrialIds(experiment_id)

    assert [ids.text(i) for i in sorted(indices)] == sorted(map(ids.text, indices))


def test_ids_stay_what_they_are_for_ever():
    """Databases out there hold them: another scheme would find none of their trials."""
    ids = TrialIds(AN_ID)

    assert "b930a90d-4bd5-8b35-89b1-000000000000" == ids.text(0)
    assert "b930a90d-4bd5-8b35-89b1-0000000f423f" == ids.text(999_999)


def test_experiments_of_different_ids_share_no_trial_id():
    trials = {TrialIds(uuid.UUID(int=i)).text(0) for i in range(1000)}

    assert 1000 == len(trials)


def test_the_id_of_another_experiments_trial_has_no_index_here():
    stranger = TrialIds(uuid.uuid4())[3]

    with pytest.raises(
        ValueError, match=f"{stranger} is not a trial of this experiment"
    ):
        TrialIds(AN_ID).index(stranger)


# --- experiments


def test_iterating_gives_every_trial_in_order():
    experiment = make(id=AN_ID)

    assert [
        Trial(TrialIds(AN_ID)[i], AN_ID, i, {"n": i + 1}) for i in range(5)
    ] == list(experiment)


def test_its_length_is_the_number_of_its_trials():
    assert 5 == len(make())


def test_one_trial_is_the_same_alone_and_among_all():
    experiment = make()

    assert list(experiment)[3] == experiment[3]
    assert experiment[4] == experiment[-1]
    assert experiment[0] == experiment[-5]


@pytest.mark.parametrize("index", [5, -6, 10**9])
def test_a_trial_beyond_the_ends_is_an_index_error_with_the_number_of_trials(index):
    with pytest.raises(IndexError, match=f"'heat' has 5 trials, none at {index}"):
        make()[index]


def test_an_index_must_be_whole():
    with pytest.raises(TypeError):
        make()[1.0]


def test_a_trial_begins_pending_and_without_results():
    trial = make()[0]

    assert ("pending", 0) == (trial.status, trial.attempts)
    assert not trial.results
    assert not trial.has_finished


USES = {
    "a result": lambda results: results["distance"],
    "get": lambda results: results.get("distance", 0),
    "a loop": list,
    "items": lambda results: results.items(),
    "len": len,
    "in": lambda results: "distance" in results,
    "dict": dict,
    "**": lambda results: {**results},
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        ("pending", (), "has no results: it is pending; check"),
        (
            "failed",
            ("ValueError", "bad\nluck"),
            "it is failed (ValueError: bad); check",
        ),
    ],
)
def test_whoever_asks_an_unfinished_trial_for_results_is_told_which(
    use, status, error, said
):
    trial = Trial(AN_ID, AN_ID, 7, {}, None, status, 1, *error)

    with pytest.raises(TrialNotFinishedError) as caught:
        USES[use](trial.results)

    assert str(caught.value).startswith(f"trial 7 ({AN_ID}) has no results: it is ")
    assert said in str(caught.value)


def test_the_results_of_unfinished_trials_can_be_shown_compared_and_pickled():
    trial, other = make()[0], make(id=AN_ID)[1]

    assert "<no results: trial 0 is pending>" == repr(trial.results)
    assert trial.results == trial.results != other.results
    assert trial == pickle.loads(pickle.dumps(trial))
    assert trial.results == pickle.loads(pickle.dumps(trial.results))


def test_a_trial_has_finished_when_its_status_says_so():
    assert Trial(AN_ID, AN_ID, 0, {}, status="finished").has_finished
    assert not Trial(AN_ID, AN_ID, 0, {}, status="failed").has_finished


def test_the_id_is_random_unless_given():
    assert make().id != make().id
    assert 4 == make().id.version


@pytest.mark.parametrize("given_id", [AN_ID, str(AN_ID), AN_ID.hex])
def test_the_id_may_be_a_uuid_or_its_text(given_id):
    assert AN_ID == make(id=given_id).id


@pytest.mark.parametrize("given_id", ["heat", 7, b"x", ""])
def test_an_id_that_is_no_uuid_is_refused(given_id):
    with pytest.raises(ConfigurationError, match="id must be a UUID, not"):
        make(id=given_id)


def test_with_another_id_the_trials_have_other_ids():
    """When the name is stored already, the experiment takes the stored id."""
    experiment = make()
    experiment.id = AN_ID

    assert TrialIds(AN_ID)[2] == experiment[2].id
    assert AN_ID == experiment[2].experiment_id


def test_it_becomes_what_rank_0_has():
    """Each rank of a script draws its own id, and may draw its own parameters."""
    experiment = make()
    experiment.become(AN_ID, None, {"n": IntegerVariable(7, 8)})

    assert [Trial(TrialIds(AN_ID)[i], AN_ID, i, {"n": 7 + i}) for i in (0, 1)] == list(
        experiment
    )


def test_what_rank_0_has_is_its_configuration_from_then_on():
    experiment = make()
    experiment.become(AN_ID, None, {"n": IntegerVariable(7, 8)})

    assert {"n": IntegerVariable(7, 8)} == experiment.configuration
    assert 2 == experiment.expansion.size


def test_it_keeps_its_own_configuration_where_rank_0_could_not_send_one():
    experiment = make()
    experiment.become(AN_ID, None)

    assert AN_ID == experiment.id
    assert {"n": 1} == experiment[0].configuration


@pytest.mark.parametrize("name", ["", "  ", None, 3, b"heat", "a\x00b"])
def test_a_name_must_be_a_text_that_is_not_empty(name):
    with pytest.raises(ConfigurationError, match="name must be a non-empty string"):
        make(name)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(compute, "compute"), (Solver().run, "Solver.run"), (Solver(), "Solver")],
    ids=["function", "method", "object"],
)
def test_a_callable_is_stored_by_its_name(function, expected):
    assert expected == make(function=function).function_name


def test_what_it_was_given_can_be_read_again():
    configuration = {"n": 3}
    experiment = make(function=compute, configuration=configuration)

    assert ("heat", compute) == (experiment.name, experiment.function)
    assert configuration == experiment.configuration


def test_the_store_function_may_be_named_or_given():
    named = make(init_store_function_name="build")
    given_itself = make(init_store=compute)

    assert ("build", None) == (named.init_store_function_name, named.init_store)
    assert "compute" == given_itself.init_store_function_name
    assert given_itself.init_store is compute


def test_without_a_store_function_there_is_no_name_of_one():
    assert make().init_store_function_name is None


def test_a_function_is_needed():
    with pytest.raises(
        ConfigurationError, match="'heat' needs function= or function_n"
    ):
        Experiment("heat", configuration={})


def test_a_function_is_given_or_named_not_both():
    with pytest.raises(
        ConfigurationError, match="^give function or function_name, not"
    ):
        make(function=compute, function_name="compute")
    with pytest.raises(
        ConfigurationError, match="^give init_store or init_store_functi"
    ):
        make(init_store=compute, init_store_function_name="compute")


def test_a_function_that_cannot_be_called_is_refused():
    with pytest.raises(ConfigurationError, match="^function must be callable, not 5$"):
        make(function=5)
    with pytest.raises(ConfigurationError, match="^init_store must be callable, not"):
        make(init_store="build")


def test_a_callable_where_a_name_belongs_is_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match="pass a callable as function="):
        make(function_name=compute)
    with pytest.raises(ConfigurationError, match="pass a callable as init_store="):
        make(init_store_function_name=compute)


def test_a_configuration_that_cannot_be_expanded_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="must be a dict"):
        make(configuration=[1])


def test_names_mean_names_of_the_file_that_creates_the_experiment():
    elsewhere = {"Experiment": Experiment}
    exec(  # noqa: S102
        "made = Experiment('heat', function_name='f', configuration={})", elsewhere
    )

    assert elsewhere["made"].namespace is elsewhere


def test_the_path_of_an_included_file_may_be_of_any_kind(tmp_path):
    assert str(tmp_path) == make(include_file=tmp_path).include_file
    assert make().include_file is None


def test_it_shows_its_name_and_size():
    assert "<Experiment 'heat' of 5 trials>" == repr(make())
