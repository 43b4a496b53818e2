"""numpy's random generators as documents, restored so that they go on identically.

Which bit generators there are is a list here, never a name that a document gives; and
states are checked before numpy sees them, since it reads memory where they point.
"""

from __future__ import annotations

from typing import Any

from .rules import Rule, by_name, expect, integers

_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# The largest each may be; others are numbers of 128 bits, words of arrays aside.
_LARGEST = {
    "pos": 624,
    "buffer_pos": 4,
    "has_uint32": 1,
    "uinteger": 2**32 - 1,
}
_MAX_POOL_SIZE = 128


def _seed_parts(seed: Any) -> Any:
    if seed.pool_size > _MAX_POOL_SIZE:
        return NotImplemented
    spawned = seed.n_children_spawned
    return seed.entropy, list(seed.spawn_key), seed.pool_size, spawned


def _seed(entropy: Any, spawn_key: Any, pool_size: Any, spawned: Any) -> Any:
    from numpy.random import SeedSequence

    if not 0 < expect(int, pool_size) <= _MAX_POOL_SIZE:
        msg = f"a pool cannot have {pool_size} words"
        raise ValueError(msg)
    return SeedSequence(
        entropy,
        spawn_key=tuple(integers(spawn_key)),
        pool_size=pool_size,
        n_children_spawned=expect(int, spawned),
    )


def _bit_generator_parts(generator: Any) -> Any:
    seed = generator._seed_seq  # noqa: SLF001 - public only since numpy 1.25
    name = type(generator).__name__
    if seed is None and name not in ("MT19937", "Philox"):
        return NotImplemented
    if seed is not None and not _is_seed(seed):
        return NotImplemented
    state = {key: entry for key, entry in generator.state.items() if key[:3] != "bit"}
    return name, _with_lists(state), seed


def _is_seed(seed: Any) -> bool:
    from numpy.random import SeedSequence

    return type(seed) is SeedSequence and _seed_parts(seed) is not NotImplemented


def _with_lists(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _with_lists(entry) for key, entry in state.items()}
    return state.tolist() if hasattr(state, "tolist") else state


def _bit_generator(name: Any, state: Any, seed: Any) -> Any:
    from numpy import random

    if name not in _BIT_GENERATORS:
        msg = f"unknown bit generator {name!r}"
        raise ValueError(msg)
    generator = _seeded(getattr(random, name), seed)
    template = generator.state
    generator.state = _checked("state", {**state, "bit_generator": name}, template)
    return generator


def _seeded(kind: Any, seed: Any) -> Any:
    if seed is not None:
        if not _is_seed(seed):
            msg = "not a SeedSequence"
            raise ValueError(msg)
        return kind(seed)
    # Two kinds can be without one: that of RandomState, and one given its key.
    if kind.__name__ == "Philox":
        return kind(key=0)
    generator = kind(0)
    generator._legacy_seeding(0)  # noqa: SLF001 - what RandomState itself calls
    return generator


def _checked(name: str, state: Any, template: Any) -> Any:
    """Return ``state`` if it looks like ``template``, a state that numpy made."""
    if isinstance(template, dict):
        if expect(dict, state).keys() != template.keys():
            msg = f"{name} must have {sorted(template)}"
            raise ValueError(msg)
        return {key: _checked(key, state[key], template[key]) for key in template}
    if isinstance(template, str):
        return state
    if isinstance(template, int):
        return _within(name, state, _LARGEST.get(name, 2**128 - 1))
    words = [_within(name, word, 2 ** (8 * template.itemsize) - 1) for word in state]
    array = template.copy()
    array[:] = integers(words, len(template))
    return array


def _within(name: str, number: Any, largest: int) -> int:
    if not 0 <= expect(int, number) <= largest:
        msg = f"{name} cannot be {number}"
        raise ValueError(msg)
    return int(number)


def _generator(bit_generator: Any) -> Any:
    from numpy.random import Generator

    _expect_bit_generator(bit_generator)
    return Generator(bit_generator)


def _generator_parts(generator: Any) -> Any:
    bits = generator.bit_generator
    return bits if _is_known(bits) else NotImplemented


def _random_state_parts(generator: Any) -> Any:
    bits = generator._bit_generator  # noqa: SLF001 - has no public name
    if not _is_known(bits):
        return NotImplemented
    state = generator.get_state(legacy=False)
    return bits, state["gauss"] if state["has_gauss"] else None


def _random_state(bit_generator: Any, gauss: Any) -> Any:
    from numpy.random import RandomState

    _expect_bit_generator(bit_generator)
    generator = RandomState(bit_generator)
    has_gauss = 0 if gauss is None else 1
    normal = {"has_gauss": has_gauss, "gauss": expect(float, gauss or 0.0)}
    generator.set_state({**bit_generator.state, **normal})
    return generator


def _is_known(bit_generator: Any) -> bool:
    from numpy import random

    kinds = [getattr(random, name) for name in _BIT_GENERATORS]
    known = type(bit_generator) in kinds
    return known and _bit_generator_parts(bit_generator) is not NotImplemented


def _expect_bit_generator(value: Any) -> None:
    if not _is_known(value):
        msg = f"bit generator expected, not {type(value).__name__}"
        raise TypeError(msg)


RULES = (
    Rule(
        "seedsequence",
        "numpy.random.SeedSequence",
        _seed_parts,
        _seed,
        ("spawn_key", "pool_size", "spawned"),
    ),
    *(
        Rule(
            "bitgenerator",
            f"numpy.random.{name}",
            _bit_generator_parts,
            _bit_generator,
            ("state", "seed"),
        )
        for name in _BIT_GENERATORS
    ),
    Rule("generator", "numpy.random.Generator", _generator_parts, _generator),
    Rule(
        "randomstate",
        "numpy.random.RandomState",
        _random_state_parts,
        _random_state,
        ("gauss",),
    ),
)
NAMED = by_name(RULES)
