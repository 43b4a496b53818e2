"""The machinery of ``scripts/benchmark``, with few trials and one case."""

from __future__ import annotations

import json
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_a_case_prints_its_table_and_gives_its_figures(serial, tmp_path):
    found = tmp_path / "figures.json"

    done = serial(
        "-m",
        "benchmarks",
        "snapshots",
        "--quick",
        "--json",
        str(found),
        env={"PYTHONPATH": str(SCRIPTS)},
        timeout=120,
    ).expect(0)

    figures = json.loads(found.read_text())
    snapshots = figures["cases"]["snapshots"]["figures"]
    assert "| one worker " in done.stdout
    assert {"one worker", "3 workers", "bare SQLite, one commit each"} == {*snapshots}
    assert all(each["error"] is None for each in snapshots.values())
    assert all(each["median"] > 0 for each in snapshots.values())
    assert figures["machine"]["MPI"].startswith(("MPICH", "Open MPI"))
