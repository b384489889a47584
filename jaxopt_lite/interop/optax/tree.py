"""`optax.tree`."""

from typing import Any

from jaxopt_lite.interop.optax.names import look_up, of_tree


def __getattr__(name: str) -> Any:
    return look_up("optax.tree", of_tree(), name)


def __dir__() -> list[str]:
    return sorted(of_tree())
