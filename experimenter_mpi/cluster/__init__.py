"""What launched this process, and job scripts for what will.

Names are looked up on first use (PEP 562): asking who launched a rank must not load
what writes job scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..mpi.detection import Environment, environment, init
    from .submission import SubmittedJob, submit
    from .write import (
        create_flux_template,
        create_lsf_template,
        create_pbs_template,
        create_sge_template,
        create_slurm_template,
    )

__all__ = [
    "Environment",
    "SubmittedJob",
    "create_flux_template",
    "create_lsf_template",
    "create_pbs_template",
    "create_sge_template",
    "create_slurm_template",
    "environment",
    "init",
    "submit",
]

# Which module each name is looked up in.
_NAMES = {
    "..mpi.detection": "Environment environment init",
    ".submission": "SubmittedJob submit",
    ".write": """create_flux_template create_lsf_template create_pbs_template
        create_sge_template create_slurm_template""",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
