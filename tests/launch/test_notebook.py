"""A real notebook's kernel: what it shows of a run, and how one interrupt ends it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.launches,
    pytest.mark.skipif(find_spec("ipykernel") is None, reason="no ipykernel"),
]

# Runs each cell on a kernel, interrupts it once a trial of it says so, and prints all
# that a front end is sent, a line of JSON each.
DRIVER = """
import json, sys
from jupyter_client.manager import start_new_kernel

def run(manager, client, code):
    asked = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=60)
        kind, content = message["msg_type"], message["content"]
        print(json.dumps([kind, content]), flush=True)
        if kind == "stream" and "interrupt me" in content["text"]:
            manager.interrupt_kernel()
        is_ours = message["parent_header"].get("msg_id") == asked
        if is_ours and content.get("execution_state") == "idle":
            return

manager, client = start_new_kernel()
try:
    for code in json.loads(sys.argv[1]):
        run(manager, client, code)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""

DEFINING = """
import time
from experimenter_mpi import *

def trial(configuration, trial_id):
    if configuration["slow"]:
        print("interrupt me", flush=True)
        time.sleep(3600)
    print("a trial's own line")
    return {"n": configuration["n"]}

def run(name, mode, slow=False, use_progress=True):
    n = IntegerVariable(1, 6)
    made = Experiment(name, function=trial, configuration={"n": n, "slow": slow})
    return execute(made, open_db("experiments.db"), mode, use_progress=use_progress)
"""


@pytest.fixture
def notebook(serial, folder):
    """Run cells on a new kernel; give what a front end is sent."""
    folder.write(DRIVER, "driver.py")
    where = {"IPYTHONDIR": str(folder.path), "JUPYTER_RUNTIME_DIR": str(folder.path)}

    def run(*cells):
        done = serial("driver.py", json.dumps([DEFINING, *cells]), env=where)
        done.expect(0)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def of_kind(messages, *kinds):
    return [content for kind, content in messages if kind in kinds]


@pytest.mark.parametrize("mode", ["SerialMode()", "MultithreadedMode(2)"])
def test_a_notebook_shows_one_bar_that_fills(notebook, folder, mode):
    messages = notebook(f"run('walk', {mode})")

    shown = of_kind(messages, "display_data", "update_display_data")
    assert 1 == len(of_kind(messages, "display_data"))
    assert 1 == len({each["transient"]["display_id"] for each in shown})
    first, last = shown[0]["data"], shown[-1]["data"]
    assert first["text/plain"].startswith("walk: 0 of 6 trials")
    assert last["text/plain"].startswith("walk: 6 of 6 trials")
    assert '<progress value="6" max="6"' in last["text/html"]
    text = "".join(each["text"] for each in of_kind(messages, "stream"))
    assert 6 == text.count("a trial's own line")
    assert "trials" not in text
    assert {"finished": 6} == folder.statuses()


@pytest.mark.parametrize("mode", ["SerialMode()", "MultithreadedMode(2)"])
def test_one_interrupt_ends_a_run_and_leaves_the_notebook_usable(
    notebook, folder, mode
):
    messages = notebook(f"run('slow', {mode}, slow=True)", "print(6 * 7)")

    assert {"pending": 6} == folder.statuses()
    assert [("stopped",)] == folder.query("SELECT ended FROM runs")
    text = "".join(each["text"] for each in of_kind(messages, "stream"))
    assert "42" in text
    errors = [each["ename"] for each in of_kind(messages, "error")]
    assert errors in ([], ["KeyboardInterrupt"])


def test_a_notebook_may_ask_for_lines_or_for_nothing(notebook):
    messages = notebook("run('silent', SerialMode(), use_progress='none')")

    assert [] == of_kind(messages, "display_data", "error")
