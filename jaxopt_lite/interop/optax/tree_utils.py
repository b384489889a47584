"""`optax.tree_utils`: the names of `optax.tree` with `tree_` before them."""

from typing import Any

from jaxopt_lite.interop.optax.names import look_up, of_tree_utils


def __getattr__(name: str) -> Any:
    return look_up("optax.tree_utils", of_tree_utils(), name)


def __dir__() -> list[str]:
    return sorted(of_tree_utils())
