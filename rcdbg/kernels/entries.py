"""Entries of a description: names, and paths to the parts of a value or from a static."""

from functools import cached_property

from rcdbg.kernels.paths import Path


class Names(tuple[str, ...]):
    """Names of a type (its path's last segment), a symbol, a variant or a function."""

    @property
    def first(self) -> str:
        """What it is mostly called, for messages; "" without a name."""
        return self[0] if self else ""


class Paths(tuple[Path, ...]):
    """Ways from the value of a concept to one of its parts."""

    def __hash__(self) -> int:
        # Ways are looked up by it for each part of each value.
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return tuple.__hash__(self)

    @property
    def first(self) -> str:
        """The first as text, for messages; "" without one."""
        return str(self[0]) if self else ""


class Keys(tuple[Path, ...]):
    """Paths that count together, one after the other: those that the kernel has."""

    @cached_property
    def each(self) -> tuple[Paths, ...]:
        """Each for itself."""
        return tuple(Paths((path,)) for path in self)


class Roots(tuple[Path, ...]):
    """Ways from a static, by its name, to one value or to many."""

    @cached_property
    def each(self) -> tuple[tuple[str, Paths], ...]:
        """The static and the way from it, for each."""
        return tuple((path.static, Paths((Path("", path.steps),))) for path in self)


NO_NAMES, NO_PATHS, NO_KEYS, NO_ROOTS = Names(), Paths(), Keys(), Roots()
