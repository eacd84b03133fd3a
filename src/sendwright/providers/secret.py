"""A string that must not be seen: an account's key or password. Part of the contract, which exports it."""

from __future__ import annotations


class Secret(str):
    """A string that prints as stars. Take the value with `reveal()`, at the place that needs it and nowhere else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def reveal(self) -> str:
        return str.__str__(self)
