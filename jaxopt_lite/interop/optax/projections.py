"""`optax.projections`."""

from typing import Any

from jaxopt_lite import projections


def __getattr__(name: str) -> Any:
    return getattr(projections, name)


def __dir__() -> list[str]:
    return dir(projections)
