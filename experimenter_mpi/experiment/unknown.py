"""What is said by a function or a design, worked out when it is first needed.

Rank 0 does so, and workers get the values from it: they need neither the functions nor
numpy or scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .grid import Expansion, variables_in

if TYPE_CHECKING:
    from collections.abc import Callable


def worked_out(
    configuration: dict[str, Any] | list[Expansion],
    where: Callable[[Any], Any] | None,
) -> Expansion:
    """Return the expansion of a configuration all of whose values are known.

    Raises:
        ConfigurationError: a function failed, or a design cannot be drawn.
    """
    if isinstance(configuration, list):
        from .listed import joined

        return Expansion(joined(configuration))
    unknown = [
        (path, variable.is_derived)
        for path, variable in variables_in(configuration, ())
        if not variable.is_known
    ]
    if designs := [path for path, is_derived in unknown if not is_derived]:
        from .designs import drawn

        configuration = drawn(configuration, designs)
    if where is not None:
        from .filters import filtered

        configuration = filtered(configuration, where, Expansion(configuration))
    if derived := [path for path, is_derived in unknown if is_derived]:
        from .derived import resolved

        configuration = resolved(configuration, derived)
    return Expansion(configuration)
