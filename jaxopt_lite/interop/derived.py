"""Fields of our states that Optax's have not, made from those that both have."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.types import State
from jaxopt_lite.rules.lbfgs import products_of_pairs


def _products_memory(state: Any) -> jax.Array:
    memories = state.diff_params_memory, state.diff_updates_memory
    m = len(state.weights_memory)
    begun = jnp.zeros((2, m, m), state.weights_memory.dtype)
    return sum(map(products_of_pairs, *map(jax.tree.leaves, memories)), begun)


DERIVED: Mapping[str, Callable[[Any], jax.Array]] = {
    "products_memory": _products_memory
}


def completed(state: State) -> State:
    """A state in which such fields are made where they are None."""

    def missing(x: Any) -> list[str]:
        return [name for name in DERIVED if getattr(x, name, 0) is None]

    def complete(x: Any) -> Any:
        made = {name: DERIVED[name](x) for name in missing(x)}
        return x._replace(**made) if made else x

    return jax.tree.map(complete, state, is_leaf=lambda x: bool(missing(x)))
