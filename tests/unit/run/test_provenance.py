"""Where results came from: enough to find the code and the machine again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import socket
import sys
import types

import pytest

from experimenter_mpi.database.file.tables import runs
from experimenter_mpi.run import provenance, sources
from experimenter_mpi.run.provenance import code, facts
from support.repository import Repository

JOB_VARIABLES = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "JOB_ID"]


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """Forget what this process knows of its code, and of any job it runs in."""
    monkeypatch.setattr(provenance, "_asked", {})
    monkeypatch.setattr(sources, "_read", {})
    for name in [*JOB_VARIABLES, *(n for n in os.environ if n.startswith("GIT_"))]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit of an experiment and what it imports."""
    made = Repository(tmp_path / "repository")
    made.write("study/exp.py", "import physics\n")
    made.write("study/physics.py", "a = 1\n")
    made.write("notes.py", "unrelated = 1\n")
    made.commit("study", "notes.py")
    return made


@pytest.fixture
def running(monkeypatch):
    """Have this process be one that runs a script, with modules loaded."""

    def run(script, *modules):
        main = types.ModuleType("__main__")
        main.__file__ = str(script)
        monkeypatch.setitem(sys.modules, "__main__", main)
        for path in modules:
            load(monkeypatch, path)

    return run


def load(monkeypatch, path):
    name = f"loaded_{os.path.basename(path)}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def study(repository, running):
    folder = repository.folder / "study"
    running(folder / "exp.py", folder / "physics.py")
    return repository


def test_the_code_is_known_by_commit_script_and_imported_files(study):
    found = code()
    text = b"import physics\n"

    assert found.commit == study.git("rev-parse", "HEAD")
    assert found.dirty is False
    assert list(found.files) == ["exp.py", "physics.py"]
    assert found.files["exp.py"] == {
        "sha256": hashlib.sha256(text).hexdigest(),
        "git": "clean",
    }
    stored = found.facts()
    assert stored["script"] == str(study.folder / "study" / "exp.py")
    assert stored["script_hash"] == hashlib.sha256(text).hexdigest()
    assert stored["script_text"] == "import physics\n"
    assert json.loads(stored["sources"]) == found.files


def test_a_changed_script_or_module_makes_it_dirty(study):
    study.write("study/physics.py", "a = 2\n")

    assert code().dirty is True
    assert code().files["physics.py"]["git"] == "changed"
    assert code().files["exp.py"]["git"] == "clean"


@pytest.mark.parametrize("ignored", ["", "new.py\n"])
@pytest.mark.parametrize("which", ["script", "module"])
def test_an_untracked_script_or_module_makes_it_dirty(
    repository, running, which, ignored
):
    """The commit does not hold it, so what it computed does not follow from it."""
    new = repository.write("study/new.py", "a = 3\n")
    repository.write(".gitignore", ignored)
    exp = repository.folder / "study" / "exp.py"
    running(*((new, exp) if which == "script" else (exp, new)))

    assert code().dirty is True
    assert code().files["new.py"]["git"] == "untracked"


def test_files_that_are_not_used_leave_it_clean(study):
    """Results follow from the commit all the same; the database is such a file."""
    study.write("study/experiments/experiments.db", "")
    study.write("notes.py", "unrelated = 2\n")

    assert code().dirty is False


def test_git_is_asked_once_about_the_same(study):
    before = code()
    study.commit()

    assert code().commit == before.commit


def test_git_is_asked_again_once_something_else_is_loaded(study, monkeypatch):
    code()
    load(monkeypatch, study.write("study/late.py", "a = 1\n"))

    assert code().dirty is True
    assert "late.py" in code().files


def test_what_was_loaded_counts_not_what_the_file_says_by_now(study):
    """While a sweep runs, its author goes on to edit."""
    before = code().files
    study.write("study/exp.py", "import physics, more\n")
    study.write("study/physics.py", "a = 4\n")

    assert code().files == before


def test_a_module_that_is_loaded_again_is_read_again(study, monkeypatch):
    before = code().files["physics.py"]
    load(monkeypatch, study.write("study/physics.py", "a = 4\n"))

    assert code().files["physics.py"]["sha256"] != before["sha256"]
    assert code().files["physics.py"]["git"] == "changed"


def test_installed_packages_do_not_count(study, monkeypatch):
    """An environment may be in the repository, ignored or not."""
    for name in ("lib/python3.12/site-packages/there.py", "dist-packages/here.py"):
        load(monkeypatch, study.write(f"venv/{name}", "a = 1\n"))

    assert list(code().files) == ["exp.py", "physics.py"]
    assert code().dirty is False


def test_a_repository_inside_of_the_repository_is_not_asked(study, monkeypatch):
    inner = Repository(study.folder / "study" / "inner")
    load(monkeypatch, inner.write("lib.py", "a = 1\n"))

    assert code().files["inner/lib.py"]["git"] is None
    assert code().dirty is False


def test_a_file_of_elsewhere_counts_where_the_functions_are_in_it(study, tmp_path):
    other = tmp_path / "elsewhere.py"
    other.write_text("a = 1\n")

    assert code([str(other)]).files["../../elsewhere.py"]["git"] is None
    assert code([str(other)]).dirty is False


def test_a_script_in_no_repository_has_its_texts(running, tmp_path):
    for name in ("exp.py", "physics.py"):
        (tmp_path / name).write_text("a = 1\n")
    running(tmp_path / "exp.py", tmp_path / "physics.py")

    found = code()

    assert (found.commit, found.dirty) == (None, None)
    assert list(found.files) == ["exp.py", "physics.py"]


def test_a_notebook_has_the_commit_and_no_script(repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    monkeypatch.setattr(sources.scripts, "first_loaded", lambda: None)
    monkeypatch.chdir(repository.folder)

    assert code().commit == repository.git("rev-parse", "HEAD")
    assert code().facts()["script"] is code().dirty is None


def test_run_names_the_script_that_it_loads(study, monkeypatch):
    """Also where it was started by a command, or as a module, from anywhere."""
    script = study.folder / "study" / "exp.py"
    monkeypatch.setattr(sources.scripts, "first_loaded", lambda: str(script))
    package = os.path.dirname(os.path.dirname(provenance.__file__))
    for main in (f"{package}/__main__.py", f"{sys.prefix}/bin/experimenter-mpi"):
        monkeypatch.setattr(sys.modules["__main__"], "__file__", main)
        assert code().script == str(script)


def test_a_link_to_the_script_leads_to_its_repository(study, monkeypatch, tmp_path):
    link = tmp_path / "link.py"
    link.symlink_to(study.folder / "study" / "exp.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(link))

    assert code().script == str(study.folder / "study" / "exp.py")
    assert code().dirty is False


def test_modules_that_load_when_looked_at_are_left_asleep(study, monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "no module", object())

    assert list(code().files) == ["exp.py", "physics.py"]


def test_a_script_of_megabytes_has_its_hash_alone(study):
    text = "# " + "x" * provenance.LONGEST_SCRIPT
    study.write("study/exp.py", text)

    stored = code().facts()

    assert stored["script_text"] is None
    assert stored["script_hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_script_that_is_no_text_can_be_stored(study):
    (study.folder / "study" / "exp.py").write_bytes(b"# \xff\x00")

    assert code().facts()["script_text"] == "# \ufffd\ufffd"


def test_a_file_that_is_gone_is_left_out(study):
    (study.folder / "study" / "physics.py").unlink()

    assert list(code().files) == ["exp.py"]


def test_the_facts_of_a_run_say_where_and_how(monkeypatch):
    command = ["python", "-m", "experimenter_mpi", "run", "two words.py"]
    monkeypatch.setattr(sys, "orig_argv", command)
    monkeypatch.setenv("PBS_JOBID", "7.server")
    found = facts("MPIMode", 64, "MPICH 5.0")

    assert {
        "mode": "MPIMode",
        "ranks": 64,
        "mpi_library": "MPICH 5.0",
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "job_id": "7.server",
        "command_line": "python -m experimenter_mpi run 'two words.py'",
        "python_version": platform.python_version(),
    } == {name: value for name, value in found.items() if name != "package_version"}


def test_the_facts_can_be_stored(study):
    found = {**facts("SerialMode", 1, None), **code().facts()}

    assert found == json.loads(json.dumps(found))
    assert set(found) <= set(runs.c.keys())


def test_the_version_is_that_of_the_package_where_it_is_installed(monkeypatch):
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda name: f"{name} 1.2.3")

    assert "experimenter_mpi 1.2.3" == facts("SerialMode", 1, None)["package_version"]


def test_a_checkout_that_was_never_installed_has_no_version(monkeypatch):
    from importlib import metadata

    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_installed)

    assert facts("SerialMode", 1, None)["package_version"] is None
