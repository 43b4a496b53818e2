"""An array folder that was moved to another disk, with a link in its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from experimenter_mpi import CorruptDocumentError, DatabaseWriteError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.doctor import database as storage
from experimenter_mpi.encoding import linked
from experimenter_mpi.encoding.linked import ArrayFolder
from unit.database.making import heat

FIELD = np.arange(200_000.0)


def files_below(folder):
    return {path.relative_to(folder) for path in folder.rglob("*.h5*")}


@pytest.fixture
def scratch(tmp_path):
    """A folder on another disk."""
    folder = tmp_path / "scratch" / "arrays of heat"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def moved(open_here, tmp_path, scratch):
    """A database with a large array, whose array folder was moved to scratch."""
    with open_here() as database:
        experiment = heat()
        session_of(database).experiments.enrol(experiment)
        database.complete_trial(experiment.trial_ids[0], {"field": FIELD})
    link = tmp_path / "heat.db.arrays"
    shutil.copytree(link, scratch, dirs_exist_ok=True)
    shutil.rmtree(link)
    link.symlink_to(scratch)
    return experiment


def first_field(database):
    return np.asarray(database.get_trials_by_name("heat")[0].results["field"])


@pytest.mark.parametrize("read_only", [True, False])
def test_what_was_moved_is_read(moved, open_here, read_only):
    assert (first_field(open_here(read_only=read_only)) == FIELD).all()


def test_what_is_written_goes_to_where_the_link_leads(moved, open_here, scratch):
    database = open_here()
    database.complete_trial(moved.trial_ids[1], {"field": FIELD + 1})
    database.save_snapshot(moved.trial_ids[2], {"field": FIELD + 2})

    assert len(files_below(scratch)) == 3
    assert (
        database.latest_snapshot(moved.trial_ids[2]).state["field"] == 2 + FIELD
    ).all()


def test_a_link_that_is_there_before_the_database_is_followed(
    open_here, tmp_path, scratch
):
    (tmp_path / "heat.db.arrays").symlink_to(scratch)
    database = open_here()
    experiment = heat()
    session_of(database).experiments.enrol(experiment)
    database.complete_trial(experiment.trial_ids[0], {"field": FIELD})

    assert len(files_below(scratch)) == 1
    assert (first_field(database) == FIELD).all()


def test_results_that_go_take_their_files_along(moved, open_here, scratch):
    database = open_here()
    database.complete_trial(moved.trial_ids[1], {"field": FIELD + 1})
    database.mark_trial_as_incomplete(moved.trial_ids[0])
    assert len(files_below(scratch)) == 1
    database.delete_experiment(moved.id)

    assert files_below(scratch) == set()


def test_only_leftovers_of_ours_are_swept(moved, open_here, scratch):
    """The link may lead to a folder with other things in it."""
    name = "ab" * 16
    ours = [scratch / "ab" / f"{name}.h5.part", scratch / "ab" / f"{name}.h5"]
    others = [
        *(scratch / "ab" / "mine.h5", scratch / "cd" / f"{name}.h5"),
        *(scratch / "thesis" / "chapter.tex", scratch / "ab" / name),
    ]
    for path in (*ours, *others):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")

    assert session_of(open_here()).sweep_leftovers() == 2
    assert [path.exists() for path in (*ours, *others)] == [False] * 2 + [True] * 4
    assert (first_field(open_here()) == FIELD).all()


def test_a_database_names_no_other_file_there(moved, open_here, scratch):
    """A stranger's archive may say of any file that it is an array."""
    (scratch / "thesis").mkdir()
    (scratch / "thesis" / "chapter.tex").write_text("keep me")
    database = open_here()
    with session_of(database).storage.transaction() as connection:
        connection.exec_driver_sql("UPDATE arrays SET file = 'thesis/chapter.tex'")
    with pytest.raises(CorruptDocumentError, match="so it is not read"):
        dict(database.get_trial(moved.trial_ids[0]).results)
    database.delete_experiment(moved.id)

    assert (scratch / "thesis" / "chapter.tex").read_text() == "keep me"


def test_a_link_beyond_the_first_is_not_followed(moved, open_here, scratch, tmp_path):
    (file,) = files_below(scratch)
    (scratch / file).rename(tmp_path / "elsewhere.h5")
    (scratch / file).symlink_to(tmp_path / "elsewhere.h5")
    with pytest.raises(CorruptDocumentError, match="outside of"):
        first_field(open_here())


def test_export_and_merge_copy_out_of_it_and_into_it(
    moved, open_here, scratch, tmp_path
):
    other = tmp_path / "scratch" / "other"
    other.mkdir()
    (tmp_path / "primary.db.arrays").symlink_to(other)
    open_here().export_db(tmp_path / "copy.db").close()
    open_here("primary.db").merge_databases(open_here("copy.db"))

    assert not (tmp_path / "copy.db.arrays").is_symlink()
    for folder in (tmp_path / "copy.db.arrays", other):
        assert files_below(folder) == files_below(scratch)
    for name in ("copy.db", "primary.db"):
        assert (first_field(open_here(name)) == FIELD).all()


# --- which links are followed

ME, OTHER = 1000, 2000
OWNERS = {  # of the database, of the link, of the folder: whether it is followed
    (ME, ME, ME): True,
    (ME, ME, OTHER): True,  # a folder of the group, by a link of my own
    (ME, OTHER, OTHER): False,
    (ME, OTHER, ME): False,
    (OTHER, OTHER, OTHER): True,  # a colleague's arrays, on scratch
    (OTHER, OTHER, ME): False,  # a stranger's link to what is mine
    (OTHER, ME, ME): False,
    (OTHER, ME, OTHER): False,
}


@pytest.mark.parametrize(("owners", "followed"), OWNERS.items())
def test_a_link_of_the_owner_is_followed(
    moved, open_here, tmp_path, scratch, monkeypatch, owners, followed
):
    places = map(str, (tmp_path / "heat.db", tmp_path / "heat.db.arrays", scratch))
    who = dict(zip(places, owners, strict=True))
    monkeypatch.setattr(linked, "_owner", lambda path: who[path])
    monkeypatch.setattr(os, "geteuid", lambda: ME)
    database = open_here()

    if followed:
        assert (first_field(database) == FIELD).all()
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
        return
    before = files_below(scratch)
    assert [e.name for e in database.get_experiments()] == ["heat"]
    with pytest.raises(CorruptDocumentError, match="is not followed"):
        first_field(database)
    with pytest.raises(DatabaseWriteError, match="is not followed"):
        session_of(database).storage.writing().__enter__()
    assert not (tmp_path / "heat.db.lock").exists()
    assert before == files_below(scratch)


@pytest.mark.parametrize("make", ["nothing", "file", "loop"])
def test_a_link_to_no_folder_is_refused_before_anything_is_written(
    moved, open_here, tmp_path, scratch, make
):
    """Such as a scratch that is mounted elsewhere, or was cleaned."""
    shutil.rmtree(scratch)
    if make == "file":
        scratch.touch()
    elif make == "loop":
        scratch.symlink_to(tmp_path / "heat.db.arrays")
    database = open_here()
    with pytest.raises(DatabaseWriteError, match="there is no folder.*mkdir -p"):
        session_of(database).storage.writing().__enter__()
    with pytest.raises(CorruptDocumentError, match="there is no folder"):
        first_field(database)


def test_the_commands_do_what_they_say(
    moved, open_here, tmp_path, scratch, monkeypatch
):
    monkeypatch.setattr(linked, "_owner", len)
    with pytest.raises(DatabaseWriteError) as refused:
        session_of(open_here()).storage.writing().__enter__()
    subprocess.run(
        ["sh", "-c", str(refused.value).partition("folder with: ")[2]], check=True
    )
    assert (first_field(open_here()) == FIELD).all()
    assert not (tmp_path / "heat.db.arrays").is_symlink()


# --- one database at a time


def link_to(tmp_path, name, folder):
    (tmp_path / f"{name}.arrays").symlink_to(folder)


def test_two_databases_do_not_share_a_folder(moved, open_here, tmp_path, scratch):
    """The leftovers of one would be the results of the other."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    before = files_below(scratch)
    link_to(tmp_path, "second.db", scratch)
    with pytest.raises(DatabaseWriteError, match=r"the array folder of .*heat\.db:"):
        open_here("second.db")

    assert before == files_below(scratch)
    open_here().complete_trial(moved.trial_ids[2], {"field": FIELD})


def test_the_folder_of_a_database_beside_it_is_not_shared(open_here, tmp_path, stored):
    (tmp_path / "heat.db.arrays").mkdir()
    link_to(tmp_path, "second.db", tmp_path / "heat.db.arrays")
    with pytest.raises(DatabaseWriteError, match=r"the array folder of .*heat\.db:"):
        open_here("second.db")


def remedy(refused):
    """Do what the message says."""
    command = str(refused.value).rpartition("run: ")[2]
    assert command.startswith("rm ")
    subprocess.run(["sh", "-c", command], check=True)


def test_the_folder_of_a_database_that_cannot_be_seen_is_not_taken_over(
    open_here, tmp_path, scratch
):
    """It may be on a disk of another node, and these are its results."""
    link_to(tmp_path, "heat.db", scratch)
    link_to(tmp_path, "second.db", scratch)
    experiment = heat()
    with open_here() as database:
        session_of(database).experiments.enrol(experiment)
        for index in (0, 1):
            database.complete_trial(experiment.trial_ids[index], {"field": FIELD})
    before = files_below(scratch)
    (claim,) = scratch.glob("*.database")
    (tmp_path / "heat.db").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(DatabaseWriteError, match="not found here") as refused:
            open_here("second.db")
        assert str(claim) in str(refused.value)
    assert 2 == len(before)
    assert before == files_below(scratch)
    assert [claim] == list(scratch.glob("*.database"))

    (tmp_path / "away").rename(tmp_path / "heat.db")
    database = open_here()
    assert 0 == session_of(database).sweep_leftovers()
    assert (first_field(database) == FIELD).all()


def test_a_folder_is_taken_over_once_its_claim_was_removed(
    moved, open_here, tmp_path, scratch
):
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    (tmp_path / "heat.db").rename(tmp_path / "cold.db")
    (tmp_path / "heat.db.arrays").rename(tmp_path / "cold.db.arrays")
    database = open_here("cold.db")
    with pytest.raises(DatabaseWriteError, match="under an earlier name") as refused:
        session_of(database).storage.writing().__enter__()
    remedy(refused)
    database.complete_trial(moved.trial_ids[2], {"field": FIELD})

    assert len(files_below(scratch)) == 3
    assert len(list(scratch.glob("*.database"))) == 1


def test_a_database_that_has_another_folder_by_now_is_forgotten(
    moved, open_here, tmp_path, scratch
):
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    (tmp_path / "heat.db.arrays").unlink()
    shutil.copytree(scratch, tmp_path / "heat.db.arrays")
    link_to(tmp_path, "second.db", scratch)
    session_of(open_here("second.db")).sweep_leftovers()

    (claim,) = scratch.glob("*.database")
    assert json.loads(claim.read_text())["database"].endswith("second.db")


def test_who_had_the_folder_first_keeps_it_when_refused(
    moved, open_here, tmp_path, scratch
):
    """Else the other would have it next time, and delete these arrays."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    (claim,) = scratch.glob("*.database")
    other = {"database": str(tmp_path / "second.db")}
    (scratch / STRANGE).write_text(json.dumps(other))
    with pytest.raises(DatabaseWriteError, match="not found here"):
        open_here().complete_trial(moved.trial_ids[2], {"field": FIELD})

    assert claim.exists()


def elsewhere(open_here, tmp_path, name):
    """Make a database with a result of its own, as on the disk of another node."""
    with open_here("other.db") as database:
        experiment = heat()
        session_of(database).experiments.enrol(experiment)
        database.complete_trial(experiment.trial_ids[0], {"field": FIELD + 7})
    node = tmp_path / f"node of {name}"
    node.mkdir()
    (tmp_path / "other.db").rename(node / name)
    shutil.rmtree(tmp_path / "other.db.arrays")
    return node / name


def test_another_database_at_the_same_path_does_not_get_the_folder(
    moved, open_here, tmp_path, scratch
):
    """Each node has a disk of its own at this path, and one scratch is everybody's."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    before = files_below(scratch)
    (claim,) = scratch.glob("*.database")
    other = elsewhere(open_here, tmp_path, "heat.db")
    (tmp_path / "heat.db").rename(tmp_path / "away.db")
    other.rename(tmp_path / "heat.db")
    for _ in range(2):
        with pytest.raises(DatabaseWriteError, match="another database at .*heat.db"):
            session_of(open_here()).sweep_leftovers()
    assert before == files_below(scratch)

    other = (tmp_path / "heat.db").rename(tmp_path / "other.db")
    (tmp_path / "away.db").rename(tmp_path / "heat.db")
    assert 0 == session_of(open_here()).sweep_leftovers()
    (tmp_path / "heat.db").unlink()
    other.rename(tmp_path / "heat.db")
    with pytest.raises(DatabaseWriteError) as refused:
        session_of(open_here()).sweep_leftovers()
    assert str(claim) in str(refused.value)
    remedy(refused)
    assert 2 == session_of(open_here()).sweep_leftovers()


def test_another_database_at_the_path_of_the_owner_says_nothing_of_it(
    moved, open_here, tmp_path, scratch
):
    """The owner is on another node; the one at its path here has another folder."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    before = files_below(scratch)
    other = elsewhere(open_here, tmp_path, "heat.db")
    (tmp_path / "heat.db.arrays").unlink()
    other.replace(tmp_path / "heat.db")
    link_to(tmp_path, "second.db", scratch)
    with pytest.raises(DatabaseWriteError, match="another database at .*heat.db"):
        open_here("second.db")

    assert before == files_below(scratch)


def test_a_copy_under_another_name_needs_a_folder_of_its_own(
    moved, open_here, tmp_path, scratch
):
    """It has the same id, and its results go other ways from now on."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    shutil.copy(tmp_path / "heat.db", tmp_path / "copy.db")
    link_to(tmp_path, "copy.db", scratch)
    with pytest.raises(DatabaseWriteError, match=r"the array folder of .*heat\.db:"):
        session_of(open_here("copy.db")).sweep_leftovers()
    (tmp_path / "heat.db").unlink()
    with pytest.raises(DatabaseWriteError, match="not found here"):
        session_of(open_here("copy.db")).sweep_leftovers()


def test_a_copy_that_is_put_back_has_its_folder(moved, open_here, tmp_path, scratch):
    """As after a run on the disk of a node, or from a backup."""
    with open_here() as database:
        database.complete_trial(moved.trial_ids[1], {"field": FIELD})
    shutil.copy(tmp_path / "heat.db", tmp_path / "backup.db")
    (tmp_path / "heat.db").unlink()
    (tmp_path / "backup.db").rename(tmp_path / "heat.db")

    assert 0 == session_of(open_here()).sweep_leftovers()
    assert 2 == len(files_below(scratch))


def test_a_claim_from_before_databases_had_ids_is_their_own(
    moved, open_here, tmp_path, scratch
):
    path = str(tmp_path / "heat.db")
    (scratch / STRANGE).write_text(json.dumps({"database": path, "token": "t"}))
    open_here().complete_trial(moved.trial_ids[1], {"x": 1})
    (claim,) = scratch.glob("*.database")
    assert STRANGE != claim.name

    claim.rename(scratch / STRANGE)
    (scratch / STRANGE).write_text(json.dumps({"database": path, "token": "t"}))
    (tmp_path / "heat.db").unlink()
    with pytest.raises(DatabaseWriteError, match="another database at"):
        open_here()  # a new one: the claim is not its own


STRANGE = f"{'ab' * 16}.database"
NUL = '{"database": "a\\u0000"}'


@pytest.mark.parametrize(
    "text", ["", "[]", "nonsense", '{"database": 3}', "[" * 9000, NUL]
)
def test_a_claim_that_says_nothing_may_be_of_anyone(moved, open_here, scratch, text):
    """A crash of the machine can leave it empty."""
    (scratch / STRANGE).write_text(text)
    with pytest.raises(DatabaseWriteError, match="not found here") as refused:
        open_here().complete_trial(moved.trial_ids[1], {"x": 1})
    remedy(refused)
    open_here().complete_trial(moved.trial_ids[1], {"x": 1})

    (claim,) = scratch.glob("*.database")
    assert json.loads(claim.read_text())["database"].endswith("heat.db")


def test_a_claim_that_is_a_pipe_or_a_link_keeps_nobody_waiting(
    moved, open_here, scratch
):
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(scratch / STRANGE)
        with pytest.raises(DatabaseWriteError, match="not found here"):
            open_here().complete_trial(moved.trial_ids[1], {"x": 1})
        (scratch / STRANGE).unlink()


def test_files_of_other_programs_are_no_claims(moved, open_here, scratch):
    (scratch / "proteins.database").write_text("theirs")
    open_here().complete_trial(moved.trial_ids[1], {"x": 1})

    assert (scratch / "proteins.database").read_text() == "theirs"


def test_who_holds_the_lock_is_read_in_the_folder(moved, open_here, scratch):
    """A worker on another node may have another folder of that name."""
    database = open_here()
    with session_of(database).storage.writing():
        token = session_of(database).storage.lock_token
        assert linked.is_claimed(str(scratch), token)
        assert session_of(database).storage.arrays_folder == str(scratch)
    assert not linked.is_claimed(str(scratch), "another")
    assert not linked.is_claimed(str(scratch.parent / "nothing"), token)


def test_a_folder_that_is_none_is_as_before(tmp_path):
    folder = ArrayFolder(str(tmp_path / "heat.db"))
    folder.claim("token", "id")

    assert folder.path == f"{tmp_path}/heat.db.arrays"
    assert not os.path.exists(folder.path)


def test_doctor_says_which_link_is_not_followed(moved, tmp_path, scratch):
    shutil.rmtree(scratch)
    finding = storage.database(str(tmp_path / "heat.db"))

    assert finding.state == "problem"
    assert "there is no folder" in finding.text
