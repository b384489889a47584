"""`optax.contrib`: the flat names again."""

from typing import Any

from jaxopt_lite.interop.optax.names import flat, look_up


def __getattr__(name: str) -> Any:
    return look_up("optax.contrib", flat(), name)


def __dir__() -> list[str]:
    return sorted(flat())
