"""Scripts: loaded once per rank, and a mistake in one is a line that names it."""

from __future__ import annotations

import importlib
import linecache
import pickle
import re
import sys
import traceback
import types

import pytest

from experimenter_mpi.errors import ConfigurationError, ScriptError
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.trial import script as scripts
from experimenter_mpi.trial.functions import find_function
from experimenter_mpi.trial.script import Script

EXPERIMENTS = """
from experimenter_mpi.experiment.experiment import Experiment

def trial(configuration, trial_id):
    return {}

second_by_name = Experiment("b", function=trial, configuration={})
first_by_name = Experiment("a", function=trial, configuration={})
again = second_by_name
"""


MAKING = (
    "from experimenter_mpi.experiment.experiment import Experiment\n"
    """
def made(name):
    return Experiment(name, function_name="f", configuration={})

"""
)


@pytest.fixture(autouse=True)
def nothing_stays_loaded(monkeypatch):
    """Loading a script changes what this process has loaded and where it looks."""
    for name in ("path", "argv"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    """Write a script and return it as rank 0 reads it."""

    def write_and_read(source, name="sweep_of_heat.py"):
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return scripts.read(str(path))

    return write_and_read


def names_of(module):
    return [experiment.name for experiment in scripts.experiments_of(module)]


# --- reading


def test_a_script_is_read_with_its_absolute_path(tmp_path, monkeypatch):
    (tmp_path / "exp.py").write_text("a = 1\n")
    monkeypatch.chdir(tmp_path)

    assert Script(str(tmp_path / "exp.py"), b"a = 1\n") == scripts.read("exp.py")


def test_a_script_that_is_not_there_is_named_with_where_it_was_looked_for(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        ScriptError, match=f"no such script: exp.py .*{tmp_path}/exp.py"
    ):
        scripts.read("exp.py")


def test_a_folder_is_no_script_and_the_message_says_what_to_name(tmp_path):
    with pytest.raises(
        ScriptError, match=f"{tmp_path} is a folder; .* {tmp_path}/exp.py"
    ):
        scripts.read(str(tmp_path))


def test_a_script_that_cannot_be_read_is_one_line(tmp_path):
    path = tmp_path / "exp.py"
    path.symlink_to(path)

    with pytest.raises(ScriptError, match=r"^cannot read .*exp\.py: .+"):
        scripts.read(str(path))


def test_the_file_an_experiment_includes_is_read(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text("a = 1\n")
    experiment = Experiment(
        "heat", function_name="f", include_file=path, configuration={}
    )

    assert Script(str(path), b"a = 1\n") == scripts.read_include(experiment)


def test_an_experiment_that_includes_nothing_has_nothing_read():
    experiment = Experiment("heat", function_name="f", configuration={})

    assert scripts.read_include(experiment) is None


# --- loading


def test_a_loaded_script_is_a_module_of_its_own(write):
    script = write("import os\na = [1]\n")
    module = scripts.load(script)

    assert [1] == module.a
    assert ("sweep_of_heat", script.path) == (module.__name__, module.__file__)
    assert sys.modules["sweep_of_heat"] is module


def test_what_is_guarded_for_the_main_script_does_not_run(write):
    module = scripts.load(write("ran = __name__ == '__main__'\n"))

    assert not module.ran


def test_it_is_loaded_from_what_rank_0_read_and_not_from_the_file(write):
    script = write("a = 1\n")._replace(source=b"a = 2\n")

    assert 2 == scripts.load(script).a


def test_it_imports_what_lies_beside_it(write, tmp_path):
    (tmp_path / "model_beside_it.py").write_text("a = 5\n")

    assert 5 == scripts.load(write("from model_beside_it import a\n")).a


def test_its_folder_is_put_on_the_path_first_and_once(write, tmp_path):
    scripts.load(write("", "one_of_two.py"))
    scripts.load(write("", "two_of_two.py"))

    assert str(tmp_path) == sys.path[0]
    assert 1 == sys.path.count(str(tmp_path))


def test_its_code_means_what_it_says_and_not_what_this_package_imports(write):
    """This package's own modules begin with imports from __future__."""
    module = scripts.load(write("def f(n: int): pass\nkind = f.__annotations__['n']\n"))

    assert int is module.kind


def test_a_rank_loads_it_once(write):
    script = write("import random\na = random.random()\n")

    assert scripts.load_once(script) is scripts.load_once(script)


def test_a_script_that_runs_already_is_not_loaded_again(write, monkeypatch):
    """Under ``mpirun python script.py`` it is the main module of every rank."""
    script = write("raise AssertionError('loaded again')\n")
    main = types.ModuleType("__main__")
    main.__file__ = script.path
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert scripts.load_once(script) is main


def test_a_script_that_failed_to_load_fails_again(write):
    """Half a module must not be taken for a whole one."""
    script = write("a = 1\nraise ValueError('no b')\nb = 2\n")
    for _ in range(2):
        with pytest.raises(ScriptError, match="no b"):
            scripts.load_once(script)


def test_a_script_that_is_loaded_afresh_takes_the_place_it_had(write):
    script = write("a = []\n")
    first, second = scripts.load(script), scripts.load(script)

    assert first.a is not second.a
    assert second is sys.modules["sweep_of_heat"]


@pytest.mark.parametrize("name", ["json.py", "my-sweep.py", "3d.py"])
def test_a_script_hides_no_module_whatever_its_name(write, name):
    before = sys.modules.get(name.removesuffix(".py"))
    module = scripts.load(write("a = 1\n", name))

    assert f"experiment_{name.removesuffix('.py')}" == module.__name__
    assert sys.modules.get(name.removesuffix(".py")) is before


def test_a_module_of_the_standard_library_stays_importable_under_its_name(write):
    module = scripts.load(write("", "colorsys.py"))

    assert "experiment_colorsys" == module.__name__


def test_two_scripts_of_one_name_are_two_modules(write, tmp_path):
    (tmp_path / "other").mkdir()
    first = scripts.load(write("a = 1\n"))
    second = scripts.load(write("a = 2\n", "other/sweep_of_heat.py"))

    assert (1, 2) == (first.a, second.a)
    assert sys.modules[first.__name__] is first
    assert sys.modules[second.__name__] is second


def test_objects_of_its_classes_can_be_pickled(write):
    module = scripts.load(write("class Model:\n    pass\n"))

    assert type(pickle.loads(pickle.dumps(module.Model()))) is module.Model


def test_tracebacks_show_its_lines_without_opening_the_file(write, tmp_path):
    script = write("def fail():\n    return 1 / 0  # here\n")
    module = scripts.load(script)
    (tmp_path / "sweep_of_heat.py").unlink()
    linecache.checkcache()

    with pytest.raises(ZeroDivisionError) as caught:
        module.fail()
    scripts.show_sources()

    lines = traceback.format_exception(caught.type, caught.value, caught.tb)
    assert "return 1 / 0  # here" in "".join(lines)


# --- arguments


def test_it_finds_its_own_arguments_and_so_do_its_functions_later(write):
    script = write("import sys\nfound = sys.argv\ndef f(): return sys.argv\n")
    module = scripts.load(script._replace(arguments=("--size", "3")))

    assert [script.path, "--size", "3"] == module.found == module.f()


def test_without_any_said_it_finds_those_of_the_process(write, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["own.py", "-v"])

    module = scripts.load(write("import sys\nfound = sys.argv\n"))

    assert ["own.py", "-v"] == module.found


# --- packages


@pytest.fixture
def package(tmp_path):
    """A folder to make packages in: each text is a file, by its path."""

    def made(**files):
        for name, source in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
            (path.parent / "__init__.py").touch()
        return tmp_path

    return made


def read_in(folder, path):
    return scripts.read(str(folder / path))


def test_a_file_of_a_package_is_loaded_as_python_m_would(package):
    folder = package(
        pack_a__inner__exp="from . import near\nfrom ..far import V\nW = near.W\n",
        pack_a__inner__near="W = 2\n",
        pack_a__far="V = 1\n",
    )

    module = scripts.load(read_in(folder, "pack_a/inner/exp.py"))

    assert (1, 2) == (module.V, module.W)
    assert ("pack_a.inner.exp", "pack_a.inner") == (module.__name__, module.__package__)
    assert "pack_a.inner.exp" == module.__spec__.name
    assert importlib.import_module("pack_a.inner.exp") is module
    assert str(folder) == sys.path[0]


def test_a_file_of_a_package_still_finds_what_lies_beside_it(package):
    folder = package(pack_b__exp="import beside_in_b\n", pack_b__beside_in_b="")

    assert scripts.load(read_in(folder, "pack_b/exp.py")).beside_in_b


def test_what_lies_beside_a_file_of_a_package_hides_no_other_module(package):
    folder = package(pack_c__exp="import colorsys\n", pack_c__colorsys="")

    module = scripts.load(read_in(folder, "pack_c/exp.py"))

    assert str(folder) not in module.colorsys.__file__


def test_objects_of_its_classes_are_pickled_by_its_full_name(package):
    folder = package(pack_d__exp="class Model:\n    pass\n")
    module = scripts.load(read_in(folder, "pack_d/exp.py"))

    assert b"pack_d.exp" in pickle.dumps(module.Model())
    assert type(pickle.loads(pickle.dumps(module.Model()))) is module.Model


def test_a_package_that_loads_the_file_itself_is_no_matter(package):
    folder = package(pack_e__exp=MAKING + "one = made('a')\n")
    (folder / "pack_e" / "__init__.py").write_text("from .exp import one\n")

    module = scripts.load(read_in(folder, "pack_e/exp.py"))

    assert ["a"] == names_of(module)
    assert sys.modules["pack_e.exp"] is module


@pytest.mark.parametrize("name", ["json", "pytest", "has.dot"])
def test_where_the_name_of_the_package_is_taken_it_is_a_file_by_itself(name, tmp_path):
    (tmp_path / name).mkdir()
    for file in ("__init__.py", "exp_of_heat.py"):
        (tmp_path / name / file).write_text("a = 1\n")

    script = read_in(tmp_path, f"{name}/exp_of_heat.py")

    assert ("", "") == (script.folder, script.module)
    assert "exp_of_heat" == scripts.load(script).__name__


def test_a_package_that_cannot_be_imported_is_one_line_with_the_command(package):
    folder = package(pack_f__exp="")
    (folder / "pack_f" / "__init__.py").write_text("1 / 0\n")

    with pytest.raises(ScriptError, match="ZeroDivisionError: division by zero") as e:
        scripts.load(read_in(folder, "pack_f/exp.py"))
    assert f"`cd {folder} && python -m pack_f.exp` shows the whole" in str(e.value)


MODULES = {
    "pack_g.exp": ("pack_g/exp.py", "pack_g.exp"),
    "pack_g": ("pack_g/__main__.py", "pack_g.__main__"),
    "alone_in_g": ("alone_in_g.py", "alone_in_g"),
    "space_g.exp": ("space_g/exp.py", "space_g.exp"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_found_as_python_m_finds_it(name, package, monkeypatch):
    folder = package(pack_g__exp="", alone_in_g="", space_g__exp="", pack_g__h="V = 1")
    (folder / "pack_g" / "__main__.py").write_text("from .h import V\n")
    (folder / "space_g" / "__init__.py").unlink()
    monkeypatch.chdir(folder)

    script = scripts.read_module(name)

    file, full_name = MODULES[name]
    assert (str(folder / file), full_name) == (script.path, script.module)
    assert scripts.load(script) is sys.modules[full_name]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module", "no module no_such_module in this folder"),
        ("no_such.exp", "No module named 'no_such'"),
        ("pack_h.exp", "ZeroDivisionError"),
        ("", "cannot find module"),
        (".exp", "-m takes a name such as package.exp"),
        ("pack_h/exp.py", "-m takes a name such as package.exp"),
        ("math", "a file needs no -m"),
    ],
)
def test_a_module_that_cannot_be_found_is_one_line(name, why, package, monkeypatch):
    folder = package(pack_h__exp="")
    (folder / "pack_h" / "__init__.py").write_text("1 / 0\n")
    monkeypatch.chdir(folder)

    with pytest.raises(ScriptError, match=re.escape(why)) as caught:
        scripts.read_module(name)
    assert "\n" not in str(caught.value)


# --- mistakes


def test_a_syntax_error_is_one_line_with_its_place(write):
    with pytest.raises(
        ScriptError,
        match=r"/sweep_of_heat\.py, line 2: SyntaxError: .*: def trial\(:$",
    ) as caught:
        scripts.load(write("a = 1\ndef trial(:\n"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", [b"a = '\x00'\n", b"a = '\xff'\n", b"# coding: nonsense\n"]
)
def test_what_is_no_text_of_python_is_one_line_that_names_it(write, source):
    with pytest.raises(ScriptError, match=r"sweep_of_heat\.py") as caught:
        scripts.load(write(source))
    assert "\n" not in str(caught.value)
    assert "None" not in str(caught.value)


def test_a_script_that_raises_is_named_with_the_line_and_how_to_see_more(write):
    script = write("import json\n\njson.loads('{')\n")

    with pytest.raises(ScriptError) as caught:
        scripts.load(script)
    assert f"{script.path}, line 3: JSONDecodeError: " in str(caught.value)
    assert f"`python {script.path}` shows the whole traceback" in str(caught.value)


def test_the_command_to_see_more_can_be_pasted(write, tmp_path):
    (tmp_path / "my sweeps").mkdir()
    script = write("1 / 0\n", "my sweeps/exp_of_heat.py")

    with pytest.raises(ScriptError, match=f"`python '{script.path}'` shows"):
        scripts.load(script)


@pytest.mark.parametrize("code", ["3", "0", "'no'", ""])
def test_a_script_that_exits_is_a_mistake_too(write, code):
    """A rank that left quietly would be waited for by all others for ever."""
    with pytest.raises(ScriptError, match=r"line 2: the script called sys\.exit\("):
        scripts.load(write(f"import sys\nsys.exit({code})\n"))


def test_an_error_of_this_package_keeps_its_kind_and_gains_the_place(write):
    script = write(
        "from experimenter_mpi.experiment.variables import LinearVariable\n"
        "n = LinearVariable(1, 2, 0)\n"
    )

    with pytest.raises(
        ConfigurationError,
        match=r"/sweep_of_heat\.py, line 2: LinearVariable: n must be",
    ):
        scripts.load(script)


def test_an_error_in_an_imported_file_names_the_line_that_imports_it(write, tmp_path):
    (tmp_path / "broken_model.py").write_text("1 / 0\n")

    with pytest.raises(
        ScriptError, match=r"/sweep_of_heat\.py, line 2: ZeroDivisionErr"
    ):
        scripts.load(write("a = 1\nimport broken_model\n"))


# --- what a script holds


def test_its_experiments_come_in_the_order_they_were_written_and_once(write):
    module = scripts.load(write(EXPERIMENTS))

    assert ["b", "a"] == [e.name for e in scripts.experiments_of(module)]


IN_A_THREAD = """
import threading
thread = threading.Thread(target=made, args="a")
thread.start()
thread.join()
"""
WAYS_TO_KEEP = {
    "a list": ("kept = [made('c'), made('a')]", "ca"),
    "a dict": ("kept = {'x': made('c'), 'y': made('a')}", "ca"),
    "a list in a dict": ("kept = {'all': [made('b'), (made('a'),)]}", "ba"),
    "one name after the other": ("for each in 'dab': one = made(each)", "dab"),
    "nothing": ("made('b'); made('a')", "ba"),
    "a list made before": ("one = made('b'); kept = [made('a'), one]", "ba"),
    "an attribute": ("class Plan: one = made('a')\nPlan.two = made('b')", "ab"),
    "a list that holds itself": ("kept = [made('a')]; kept.append(kept)", "a"),
    "a thread": (IN_A_THREAD, "a"),
    "executed text": ("exec('made(\"a\")')", "a"),
}


@pytest.mark.parametrize("way", WAYS_TO_KEEP)
def test_it_has_every_experiment_that_it_makes_however_it_keeps_them(way, write):
    source, expected = WAYS_TO_KEEP[way]

    module = scripts.load(write(MAKING + source))

    assert list(expected) == names_of(module)
    assert [] == scripts.imported_experiments(module)


def test_what_functions_of_other_modules_make_for_it_is_its_own(write, tmp_path):
    (tmp_path / "making_for_others.py").write_text(MAKING + "two = [made('no')]\n")

    module = scripts.load(
        write("import making_for_others as m\nm.made('b'); x = [m.made('a')]\n")
    )

    assert ["b", "a"] == names_of(module)
    assert ["no"] == [each.name for each in scripts.imported_experiments(module)]


def test_a_module_that_is_imported_late_keeps_what_it_makes(write, tmp_path):
    (tmp_path / "imported_late.py").write_text(MAKING + "def f(): pass\nmade('no')\n")

    module = scripts.load(
        write(MAKING + "def g():\n from imported_late import f\ng(); made('a')\n")
    )

    assert ["a"] == names_of(module)


@pytest.mark.parametrize("imported", ["plan_of_all", "first, plan_of_all", "*"])
def test_what_it_imports_by_name_is_run_in_the_order_it_was_made(
    imported, write, tmp_path
):
    (tmp_path / "planned_elsewhere.py").write_text(
        MAKING + "first = made('b')\nplan_of_all = [first, made('a')]\nlast = None\n"
    )

    module = scripts.load(
        write(MAKING + f"from planned_elsewhere import {imported}\nmade('c')\n")
    )

    assert ["b", "a", "c"] == names_of(module)


def test_what_is_made_after_it_was_loaded_is_no_experiment_of_it(write):
    module = scripts.load(write(MAKING + "made('a')\n"))

    module.made("b")

    assert ["a"] == names_of(module)


def test_a_script_that_is_loaded_afresh_makes_its_experiments_afresh(write):
    script = write(MAKING + "made('a')\n")
    first, second = (
        scripts.experiments_of(scripts.load(script)),
        scripts.experiments_of(scripts.load(script)),
    )

    assert 1 == len(first) == len(second)
    assert first[0] is not second[0]


def test_a_script_may_hold_no_experiment(write):
    assert [] == scripts.experiments_of(scripts.load(write("a = 1\n")))


class Solver:
    """Functions may stand inside a class."""

    @staticmethod
    def run(configuration, trial_id):
        return {}


def simulate(configuration, trial_id):
    return {}


def find(name, given=None):
    return find_function(name, given, globals(), "exp.py")


def test_a_function_is_found_by_its_name():
    assert find("simulate") is simulate


def test_a_function_inside_a_class_is_found_by_its_dotted_name():
    assert find("Solver.run") is Solver.run


def test_a_function_that_was_given_needs_no_name():
    assert find("<lambda>", simulate) is simulate


@pytest.mark.parametrize("name", ["simulat", "Simulate"])
def test_a_misspelt_function_is_answered_with_near_names(name):
    with pytest.raises(
        ScriptError, match=f"exp.py has no function '{name}'; did you mea"
    ):
        find(name)


@pytest.mark.parametrize("name", ["Solver.walk", "nothing.at.all", "", "simulate."])
def test_a_function_that_is_not_there_is_named_with_the_file(name):
    with pytest.raises(ScriptError, match=f"^exp.py has no function '{name}'"):
        find(name)


def test_without_near_names_none_is_suggested():
    with pytest.raises(ScriptError, match="^exp.py has no function 'xyzzy'$"):
        find("xyzzy")


def test_what_cannot_be_called_is_no_function():
    with pytest.raises(
        ScriptError, match="'EXPERIMENTS' in exp.py is a str, not a funct"
    ):
        find("EXPERIMENTS")
