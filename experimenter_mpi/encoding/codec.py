"""Turn values into JSON documents and back, with arrays apart and nothing executed.

Numbers, texts, lists and dicts stand as they are; what JSON lacks is an object whose
first key starts with one "$" (a key of the user's that does is given a second one).
A subclass of a built-in comes back as that built-in, a numpy number as a number, the
member of an enumeration as itself where its class is loaded.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import CorruptDocumentError, EncodingError, PickleRefusedError
from .encoder import JSON, Encoder, of_leaves, place
from .rules import BY_TAG, NAN_KEY, ArrayRecord, Rule, from_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ArrayRecord",
    "Encoded",
    "Rule",
    "decode",
    "encode",
    "for_files",
    "parsed",
    "plain",
    "whole",
]

# Arrays of at most this many bytes live in the database itself, and equal ones once;
# larger ones are files of their own, and hashing them would cost more than it saves.
INLINE_BYTES = 1024 * 1024
# Thousands of small ones in one value would make a message that rank 0 cannot hold.
INLINE_BYTES_TOGETHER = 64 * 1024 * 1024
# A document passes through a message and SQLite in one piece: rank 0 holds up to four
# times this, whatever the number of workers.
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
# Each mention of an array is read as an array of its own; a few bytes of text that
# mention one again and again must not fill the memory unnoticed.
MAX_REPEATED_BYTES = 4 * 1024 * 1024 * 1024
_ID_DIGITS = 32
# How the ids of arrays begin that only the snapshots of one trial may refer to. That
# the hash of anything else begins so, nobody will live to see.
OWNED = "5a4e9b70c3d2"


class Encoded(NamedTuple):
    """A value as it is stored.

    ``document`` is compact JSON in ASCII, ``arrays`` is what it refers to, ``pickled``
    names what no rule could store: (path, type name) of each.
    """

    document: str
    arrays: tuple[ArrayRecord, ...] = ()
    pickled: tuple[tuple[str, str], ...] = ()


def encode(
    value: Any,
    *,
    hash_up_to: int | None = None,
    extra: Iterable[Rule] = (),
    part: bool = False,
) -> Encoded:
    """Encode a value; its arrays may be its own memory, so use them before it changes.

    Equal arrays of at most ``hash_up_to`` bytes have equal ids (None: of any size).
    ``extra`` are rules for types of the caller's own. With ``part`` the document is
    to be joined with others to one, of which ``whole`` then makes what is stored.

    Raises:
        EncodingError: something in the value cannot be stored; says what, and where.
    """
    document = of_leaves(value)
    if document is None:
        encoded = _encoded(value, hash_up_to, extra)
        document = encoded.document
    else:
        encoded = Encoded(document)
    if not part and "NaN" in document:
        document = whole(document)
        encoded = encoded._replace(document=document)
    if len(document) > MAX_DOCUMENT_BYTES:
        msg = (
            f"the value takes {len(document):,} bytes of JSON, more than the "
            f"{MAX_DOCUMENT_BYTES:,} that can be stored; return large data as arrays"
        )
        raise EncodingError(msg)
    return encoded


def _encoded(value: Any, hash_up_to: int | None, extra: Iterable[Rule]) -> Encoded:
    encoder = Encoder(hash_up_to, extra)
    try:
        document = encoder.text(value)
    except RecursionError:
        raise encoder.too_deep() from None
    return Encoded(document, tuple(encoder.arrays.values()), tuple(encoder.pickled))


def owned(encoded: Encoded, owner: str) -> Encoded:
    """Give the arrays ids that differ from those of equal arrays of other owners.

    So those can be deleted together with what their owner no longer needs.
    """
    if not encoded.arrays:
        return encoded
    import hashlib  # which comes with numpy

    document, records = encoded.document, []
    for record in encoded.arrays:
        digest = hashlib.blake2b(f"{owner} {record.id}".encode(), digest_size=10)
        array_id = OWNED + digest.hexdigest()
        # In a text of the user's own the quotes would be escaped.
        document = document.replace(f'"$array":"{record.id}"', f'"$array":"{array_id}"')
        records.append(record._replace(id=array_id))
    return Encoded(document, tuple(records), encoded.pickled)


def whole(document: str) -> str:
    """Return a document that was encoded in parts as it is stored: see ``nans``."""
    if "NaN" not in document:
        return document
    from .nans import with_nulls  # which a worker seldom needs

    return with_nulls(document)


def for_files(encoded: Encoded) -> list[ArrayRecord]:
    """Return the arrays that belong in a file: large ones, or all if many."""
    inline = [record for record in encoded.arrays if record.data is not None]
    if sum(record.nbytes for record in inline) <= INLINE_BYTES:
        return []
    large = [record for record in inline if record.nbytes > INLINE_BYTES]
    together = sum(record.nbytes for record in inline if record.nbytes <= INLINE_BYTES)
    return inline if together > INLINE_BYTES_TOGETHER else large


def _load_nothing(array_id: str) -> Any:
    raise KeyError(array_id)


def decode(
    document: str,
    load: Callable[[str], Any] = _load_nothing,
    *,
    allow_pickle: bool = False,
    extra: Iterable[Rule] = (),
    refer: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Return the value that was encoded; executes nothing unless ``allow_pickle``.

    ``load`` gives the array of an id, a new one at each call; a KeyError of its says
    that there is none. With ``refer`` an array is loaded only where a value is made of
    it: elsewhere ``refer`` gets what the document says of it, and returns what is to be
    there.

    Raises:
        CorruptDocumentError: this is not what ``encode`` writes.
        PickleRefusedError: something in it is a pickle.
    """
    try:
        found = plain(document)
        # By far the most common: nothing in it can be a tag, or a key escaped.
        if "$" not in document and "\\u0024" not in document:
            return found
        return _Decoder(load, extra, refer, allow_pickle=allow_pickle).value(found)
    except RecursionError:
        raise _too_deep() from None
    except MemoryError:
        msg = "a stored document needs more memory than there is: use a larger machine"
        raise CorruptDocumentError(msg) from None


def parsed(document: str) -> Any:
    """Return the JSON of a document, its tags as they are written.

    Raises:
        CorruptDocumentError: it is no JSON, or is nested too deeply.
    """
    try:
        return JSON.decode(document)
    except (ValueError, TypeError) as error:
        msg = f"a stored document is not JSON: {error}"
        raise CorruptDocumentError(msg) from error
    except RecursionError:
        raise _too_deep() from None


def plain(document: str) -> Any:
    """Return the JSON of a document with its NaNs, and with its tags as written.

    Raises:
        CorruptDocumentError: this is not what ``encode`` writes.
    """
    found = parsed(document)
    if type(found) is not dict or NAN_KEY not in found:
        return found
    from .nans import restored

    try:
        return restored(found)
    except ValueError as error:
        msg = f"stored data: {NAN_KEY} is not valid: {error}"
        raise CorruptDocumentError(msg) from error


def _too_deep() -> CorruptDocumentError:
    return CorruptDocumentError("a stored document is nested too deeply to be read")


class _Decoder:
    """One document on its way to a value: where we are, and what is allowed."""

    __slots__ = (
        *("_allow_pickle", "_extra", "_load", "_loaded", "_path", "_refer"),
        "_repeated",
    )

    def __init__(
        self,
        load: Callable[[str], Any],
        extra: Iterable[Rule],
        refer: Callable[[dict[str, Any]], Any] | None,
        *,
        allow_pickle: bool,
    ) -> None:
        self._load = load
        self._refer = refer
        self._extra = {rule.tag: rule for rule in extra}
        self._allow_pickle = allow_pickle
        self._path: list[Any] = []
        self._loaded: set[str] = set()
        self._repeated = 0

    def value(self, plain: Any) -> Any:
        if type(plain) is dict:
            return self._object(plain)
        if type(plain) is list:
            return [self._inside(index, entry) for index, entry in enumerate(plain)]
        return plain

    def _inside(self, key: Any, plain: Any) -> Any:
        if type(plain) is not dict and type(plain) is not list:
            return plain
        self._path.append(key)
        value = self.value(plain)
        self._path.pop()
        return value

    def _object(self, plain: dict[str, Any]) -> Any:
        first = next(iter(plain), "")
        if first[:1] == "$" and first[1:2] != "$":
            return self._tagged(first[1:], plain)
        return {self._key(key): self._inside(key, plain[key]) for key in plain}

    def _key(self, key: str) -> str:
        if key[:1] != "$":
            return key
        if key[1:2] != "$":
            raise self._corrupt(f"a tag, {key!r}, among other keys")
        return key[1:]

    def _tagged(self, tag: str, plain: dict[str, Any]) -> Any:
        if tag == "array":
            return self._array(plain)
        if tag == "pickle":
            return self._pickle(plain)
        rule = self._rule(tag)
        self._check_keys(plain, rule.fields)
        refer = self._refer
        if tag != "tuple":
            self._refer = None
        payload = self.value(plain[f"${tag}"])
        fields = [self._inside(name, plain.get(name)) for name in rule.fields]
        self._refer = refer
        try:
            return rule.from_plain(payload, *fields)
        except Exception as error:
            raise self._corrupt(f"not a valid ${tag} ({error!r})") from error

    def _rule(self, tag: str) -> Rule:
        if tag == "enum":
            from . import enumerations

            return enumerations.RULE
        rule = self._extra.get(tag) or BY_TAG.get(tag)
        if rule is None:
            from . import numpy_rules as ndarrays

            rule = ndarrays.BY_TAG.get(tag)
        if rule is None:
            what = (
                f"tagged ${tag}, which this version of experimenter_mpi does not know"
            )
            raise self._corrupt(f"{what}; a newer version may have written it")
        return rule

    def _check_keys(self, plain: dict[str, Any], fields: tuple[str, ...]) -> None:
        tag, *others = plain
        if not set(others).issubset(fields):
            raise self._corrupt(f"{tag} with unknown keys beside it")

    def _array(self, plain: dict[str, Any]) -> Any:
        self._check_keys(plain, ("dtype", "shape"))
        array_id = plain["$array"]
        if type(array_id) is not str or not _is_id(array_id):
            raise self._corrupt("an array without a valid id")
        if self._refer is not None:
            return self._refer(plain)
        try:
            array = self._load(array_id)
        except KeyError as error:
            raise self._corrupt(f"array {array_id}, which does not exist") from error
        self._count(array_id, array)
        return array

    def _count(self, array_id: str, array: Any) -> None:
        if array_id not in self._loaded:
            self._loaded.add(array_id)
            return
        self._repeated += getattr(array, "nbytes", 0)
        if self._repeated > MAX_REPEATED_BYTES:
            what = (
                f"a repeated reference to arrays, {self._repeated:,} bytes by now; if "
                "this is correct, raise "
                "experimenter_mpi.encoding.codec.MAX_REPEATED_BYTES"
            )
            raise self._corrupt(what)

    def _pickle(self, plain: dict[str, Any]) -> Any:
        self._check_keys(plain, ("type",))
        kind = f"a pickled {plain.get('type')!s}"
        if not self._allow_pickle:
            msg = (
                f"{place(self._path)} is {kind}: open the database with "
                "allow_pickle=True (--allow-pickle) if you trust whoever wrote it"
            )
            raise PickleRefusedError(msg)
        try:
            return pickle.loads(from_base64(plain["$pickle"]))  # noqa: S301 - allowed
        except Exception as error:
            raise self._corrupt(f"{kind} that cannot be read ({error!r})") from error

    def _corrupt(self, what: str) -> CorruptDocumentError:
        return CorruptDocumentError(f"stored data: {place(self._path)} is {what}")


def _is_id(text: str) -> bool:
    return len(text) == _ID_DIGITS and set(text) <= set("0123456789abcdef")
