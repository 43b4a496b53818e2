"""What docs/clusters.md says is what the package does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experimenter_mpi.cluster import schedulers
from experimenter_mpi.cluster.launch_lines import LIBRARIES, launch_lines

PAGE = (Path(__file__).parents[3] / "docs" / "clusters.md").read_text()


def row(name, heading):
    """Return the cells after the first of a row of the table below a heading."""
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    (line,) = re.findall(rf"^\| {name} \|(.*)\|$", section, re.MULTILINE)
    return [cell.strip() for cell in line.split(" | ")]


@pytest.mark.parametrize("scheduler", schedulers.SCHEDULERS)
def test_the_page_has_the_lines_that_are_used(scheduler):
    name = schedulers.name_of(scheduler)
    ranks = "$NSLOTS" if scheduler == "sge" else "N"
    for library, cell in zip(LIBRARIES, row(name, "## 3. Start"), strict=True):
        lines = [line.text for line in launch_lines(library, scheduler, ranks)]
        written = re.findall("`([^`]+)`", cell)

        assert written == lines[: len(written)]


def test_the_page_has_the_variables_that_are_asked():
    for name in schedulers.SCHEDULERS:
        scheduler = schedulers.described(name)
        cells = row(scheduler.name, "## 6. A job array")
        task = scheduler.variables.task

        assert f"`{task.variable}`" == cells[0]
        assert ("0-<N-1>" in cells[2]) is (task.begins == 0)


@pytest.mark.parametrize(
    ("scheduler", "library"), [("sge", "openmpi"), ("lsf", "openmpi")]
)
def test_the_page_says_how_open_mpi_learns_the_hosts(scheduler, library):
    setup = launch_lines(library, scheduler, "N")[0].setup

    assert all(line in PAGE for line in setup)


def test_every_relative_link_exists():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE)

    folder = Path(__file__).parents[3] / "docs"
    assert [] == [link for link in links if not (folder / link).exists()]
