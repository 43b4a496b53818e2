"""Random changes to what is stored, each a pure function of its random numbers."""

from __future__ import annotations

import copy
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from experimenter_mpi.encoding import numpy_rules as ndarrays
from experimenter_mpi.encoding import rules as tags

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from experimenter_mpi.encoding.codec import ArrayRecord

TAGS = [
    f"${tag}"
    for tag in (
        *(*tags.BY_TAG, *ndarrays.BY_TAG, "array", "pickle", "nonsense", "", "$"),
        "nan",
        *("LinearVariable", "LogLinearVariable", "RepeatVariable"),
        *("IntegerVariable", "IterableVariable", "MatchIterableVariable"),
    )
]
FIELDS = [
    *("dtype", "shape", "order", "type", "zone", "fold", "gauss", "maxlen", "name"),
    *("data", "mask", "fill_value", "hard", "spawn_key", "pool_size", "spawned"),
    *(
        "state",
        "seed",
        "missing",
        "coerce",
        "min",
        "max",
        "n",
        "step",
        "iter",
        "value",
        "a",
    ),
]
TEXTS = [
    *("", "a", "<f8", "|O", "<U999999999", "|V0", "F", "object", "nan", "-0x1", "12"),
    *("0x" + "f" * 5000, "1E+999999999", "../../etc/passwd", "Europe/Paris", "\x1b[2J"),
    *("2024-02-30", "12:00", "\ud800", "\x00", "PCG64", "QUJD", "[" * 2000, "0" * 32),
    *("<M8[99999999999s]", "<M8[0s]", "|S0", "<c99", "pending", "finished", "running"),
]
NUMBERS = [
    *(0, 1, -1, 2, 7, 255, 624, 10**6, 10**12, 2**31, 2**63 - 1, 2**63, -(2**63)),
    *(10**40, 0.5, -0.0, 1e308, True),
]
TABLES = [
    *("experiments", "snapshots", "arrays", "runs", "blocks"),
    *("trial_records", "trial_records", "trial_errors", "trial_places"),
    "trial_counts",
]
DTYPES: list[Any] = [
    *([["a", "|O"]], [["a", "<i4", [10**9, 10**9]]], [["", "|V9"]]),
    *([["a", "|S0"], ["", "|V999999999"]], [["a", [["b", "<f8"]]]], [[]], [["a"]]),
]


def value(random: Random, depth: int = 0) -> Any:
    """Return a small piece of JSON, with a liking for what looks like a tag."""
    kind = random.randrange(9 if depth < 3 else 4)
    if kind < 2:
        return random.choice([None, False, *NUMBERS])
    if kind < 3:
        return random.choice(TEXTS)
    if kind < 4:
        return copy.deepcopy(random.choice(DTYPES))
    if kind < 6:
        return [value(random, depth + 1) for _ in range(random.randrange(4))]
    if random.random() < 0.1:
        return {random.choice(FIELDS): None, "$nan": nans(random)}
    entries = {random.choice(TAGS): value(random, depth + 1)} if kind < 8 else {}
    for _ in range(random.randrange(3)):
        entries[random.choice(FIELDS)] = value(random, depth + 1)
    return entries


def nans(random: Random) -> Any:
    """Return a list of where the NaNs of a document are, which they seldom are."""
    steps = [*TAGS, *FIELDS, 0, 1, -1, True, None]
    return [
        [random.choice(steps) for _ in range(random.randrange(3))]
        for _ in range(random.randrange(4))
    ]


def document(random: Random, corpus: list[str]) -> str:
    """Return a document of the corpus with parts or bytes of it exchanged."""
    text = random.choice(corpus)
    if random.random() < 0.3:
        return _with_bytes_exchanged(random, text)
    plain = json.loads(text)
    for _ in range(random.choice([1, 1, 2, 3])):
        plain = _with_part_exchanged(random, plain, corpus)
    if isinstance(plain, dict) and random.random() < 0.1:
        plain["$nan"] = nans(random)
    return json.dumps(plain).replace("Infinity", "9e999")


def _with_bytes_exchanged(random: Random, text: str) -> str:
    start = random.randrange(len(text) + 1)
    end = min(len(text), start + random.choice([0, 1, 1, 2, 10]))
    pieces = ['"', "{", "}", "[", "]", ",", ":", "$", "1", "-", "e", "\\u0024", "null"]
    pieces += [text[start:end] * 50, "[" * 5000, '{"$tuple":' * 300, "9" * 5000]
    return text[:start] + random.choice([*pieces, ""]) + text[end:]


def _with_part_exchanged(random: Random, plain: Any, corpus: list[str]) -> Any:
    found = list(places(plain))
    if not found:
        return value(random)
    container, key = random.choice(found)
    choice = random.random()
    if choice < 0.6:
        container[key] = value(random)
    elif choice < 0.8:
        container[key] = json.loads(random.choice(corpus))
    elif isinstance(container, dict):
        container[random.choice([*TAGS, *FIELDS])] = container.pop(key)
    else:
        del container[key]
    return plain


def places(plain: Any) -> Any:
    """Yield the (container, key) of every part of a document."""
    if not isinstance(plain, (dict, list)):
        return
    for key, entry in list(
        plain.items() if isinstance(plain, dict) else enumerate(plain)
    ):
        yield plain, key
        yield from places(entry)


def record(random: Random, original: ArrayRecord) -> ArrayRecord:
    """Return an array's record with one field of another kind, now and then."""
    if random.random() < 0.7:
        return original
    size = random.choice([0, 1, 8, 16, 1000])
    changes: dict[str, Any] = random.choice(
        [
            {"dtype": json.dumps(random.choice([*DTYPES, *TEXTS]))},
            {"dtype": random.choice(TEXTS)},
            {"shape": tuple(value(random, 9) for _ in range(random.randrange(4)))},
            {"shape": (random.choice(NUMBERS),) * random.choice([1, 2, 40])},
            {"order": random.choice(["K", "F", None])},
            {"data": random.choice([None, bytes(size)])},
        ]
    )
    return original._replace(**changes)


def file_bytes(random: Random, path: Path) -> None:
    """Flip bits, overwrite, exchange pages, or cut off."""
    data = bytearray(path.read_bytes())
    if not data:
        return
    page = 4096
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        at = random.choice([random.randrange(len(data)), random.randrange(200)])
        match random.randrange(6):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 2 | 3 if at < len(data):
                data[at] = random.choice([0, 1, 127, 128, 255])
            case 4:
                one, other = (random.randrange(0, len(data), page) for _ in range(2))
                data[one : one + page] = data[other : other + page]
            case 5 if random.random() < 0.1:
                del data[random.randrange(len(data)) :]
                if not data:
                    break
    path.write_bytes(data)


def rows(random: Random, path: Path) -> None:
    """Write anything into any column, with nothing but sqlite3."""
    plain = sqlite3.connect(path, isolation_level=None)
    try:
        plain.execute("PRAGMA foreign_keys = OFF")
        for _ in range(random.choice([1, 1, 2, 4])):
            _change_row(random, plain)
    finally:
        plain.close()


def _change_row(random: Random, plain: sqlite3.Connection) -> None:
    table = random.choice(TABLES)
    columns = [row[1] for row in plain.execute(f"PRAGMA table_info({table})")]
    column = random.choice(columns)
    values: list[Any] = [*NUMBERS, *TEXTS, None, b"", b"\xff\x00", bytes(100)]
    values += [json.dumps(value(random)), "/etc/passwd", "../x", "\x1b[2J"]
    chosen = random.choice(values)
    if isinstance(chosen, int) and not -(2**63) <= chosen < 2**63:
        chosen = str(chosen)
    if isinstance(chosen, str):
        chosen = chosen.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    old = plain.execute(f'SELECT rowid, "{column}" FROM {table}').fetchall()
    if not old:
        return
    row_id, before = random.choice(old)
    if isinstance(before, str) and before[:1] in "{[" and random.random() < 0.7:
        chosen = document(random, [before])
    try:
        query = f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?'
        plain.execute(query, (chosen, row_id))
    except (sqlite3.Error, UnicodeError):
        pass  # refused by a constraint: this input is as it was
