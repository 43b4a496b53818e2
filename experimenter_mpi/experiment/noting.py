"""A configuration that notes which parameters a function looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator, KeysView, ValuesView


# Never empty for code in C that looks at a dict's own size, as that of json does.
_HIDDEN: Any = object()


class Noting(dict[str, Any]):
    """A dict that lacks what nobody should need; looking there is noted.

    It is a dict so that looking at what it has takes no longer than in any other.
    ``whole`` has all entries, ``needs`` what is to be noted for those that are lacking.
    """

    __slots__ = ("_needs", "_noted", "_whole")

    def __init__(
        self, whole: dict[str, Any], needs: dict[str, set[int]], noted: set[int]
    ) -> None:
        super().__init__((k, v) for k, v in whole.items() if k not in needs)
        super().__setitem__(_HIDDEN, None)
        self._whole, self._needs, self._noted = whole, needs, noted

    def __missing__(self, key: str) -> Any:
        value = self._whole[key]
        self._noted |= self._needs[key]
        return value

    def _seen(self) -> dict[str, Any]:
        return {key: self[key] for key in self._whole}

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._whole else default

    def __contains__(self, key: object) -> bool:
        return key in self._whole

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._whole)

    def __len__(self) -> int:
        return len(self._whole)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return self._whole.keys()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return self._seen().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return self._seen().values()

    def copy(self) -> dict[str, Any]:
        return self._seen()

    def __eq__(self, other: object) -> bool:
        return self._seen() == other

    __hash__ = None  # as of a dict

    def __or__(self, other: Any) -> Any:
        return self._seen() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._seen()

    def __repr__(self) -> str:
        return repr(self._seen())

    def __reduce__(self) -> Any:
        return dict, (self._seen(),)
