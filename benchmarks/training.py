"""A training step behind the gradients, compiled, and what it costs."""

import os
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from benchmarks import trees

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Cost(NamedTuple):
    """A compiled step: bytes per parameter, and seconds."""

    accessed: float
    temporaries: float
    aliased: float
    peak: float
    times: list[float]


def compiled(step: Callable[..., Any], *arguments: Any, options: Any = None) -> Any:
    """The step of parameters, state and gradients, which donates the first two."""
    jitted = jax.jit(step, donate_argnums=(0, 1))
    return jitted.lower(*arguments).compile(compiler_options=options)


def at_once(makers: Mapping[Key, Callable[[], Made]]) -> dict[Key, Made]:
    """What each makes, in threads: XLA compiles without Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(
            zip(makers, pool.map(lambda make: make(), makers.values()), strict=True)
        )


def cost(compiled: Any, parameters: int, times: list[float]) -> Cost:
    memory = compiled.memory_analysis()
    live = memory.argument_size_in_bytes + memory.output_size_in_bytes
    live += memory.temp_size_in_bytes - memory.alias_size_in_bytes
    return Cost(
        compiled.cost_analysis()["bytes accessed"] / parameters,
        memory.temp_size_in_bytes / parameters,
        memory.alias_size_in_bytes / parameters,
        live / parameters,
        times,
    )


class Training:
    """A compiled step and the parameters and state that it takes along."""

    def __init__(
        self,
        step: Callable[..., Any],
        init: Callable[..., Any],
        grads: Any,
        options: Any = None,
    ):
        self.params = jax.tree.map(jnp.copy, grads)
        # Optax's first state has arrays twice, which cannot be donated.
        self.state = jax.tree.map(jnp.copy, init(self.params))
        self.grads = grads
        self.compiled = compiled(step, self.params, self.state, grads, options=options)

    def __call__(self) -> Any:
        self.params, self.state = self.compiled(self.params, self.state, self.grads)
        return self.params, self.state

    def floor(self, passes: int) -> int:
        """The bytes that a step cannot avoid to read and write.

        It reads the gradients, and what must be known of them in `passes` before; it
        reads and writes parameters and state.
        """
        read = (1 + passes) * trees.nbytes(self.grads)
        return read + 2 * trees.nbytes((self.params, self.state))

    def cost(self, times: list[float]) -> Cost:
        return cost(self.compiled, trees.size(self.grads), times)
