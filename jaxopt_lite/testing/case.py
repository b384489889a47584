"""A transformation under test, with what several laws look at."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import experimental

STEPS = 3


class Run(NamedTuple):
    """What a few steps took and gave; `states` begins with that of `init`."""

    params: Any
    gradients: list[Any]
    states: list[Any]
    updates: list[Any]


class Case:
    """A transformation, parameters to try it on, and the runs that laws share.

    `run` is jitted, on the parameters as they are; `exact` is jitted and `eager` is
    not, both in float64, where a mistake stands out from rounding.
    """

    def __init__(self, tx: Any, params: Any, extra: Mapping[str, Any]):
        self.tx = tx
        self.params = jax.tree.map(jnp.asarray, params)
        self.extra = extra
        self.jitted = jax.jit(self.update)

    def update(self, g: Any, state: Any, p: Any = None) -> tuple[Any, Any]:
        """One update, with the extra arguments of this case."""
        return self.update_of(self.tx, g, state, p)

    def update_of(self, tx: Any, g: Any, state: Any, p: Any) -> tuple[Any, Any]:
        """One update of another transformation, with the same extra arguments."""
        return tx.update(g, state, p, **self.extra)

    def follow(self, update: Callable[..., Any], params: Any) -> Run:
        """A few steps, with another gradient each time."""
        gradients = [
            jax.tree.map(_beside, numbers_like(params, step + 1), params)
            for step in range(STEPS)
        ]
        states, updates = [self.tx.init(params)], []
        for g in gradients:
            # One step at a time: two programs with collectives in flight may starve
            # each other of the few threads of a CPU.
            u, state = jax.block_until_ready(update(g, states[-1], params))
            updates.append(u)
            states.append(state)
        return Run(params, gradients, states, updates)

    @functools.cached_property
    def run(self) -> Run:
        return self.follow(self.jitted, self.params)

    @functools.cached_property
    def exact(self) -> Run:
        with x64():
            return self.follow(self.jitted, cast(self.params, "float64"))

    @functools.cached_property
    def eager(self) -> Run:
        with x64():
            return self.follow(self.update, cast(self.params, "float64"))

    @functools.cached_property
    def refusal(self) -> Exception | None:
        """What `update` raises without parameters, if anything."""
        try:
            jax.eval_shape(self.update, self.params, self.run.states[0])
        except Exception as error:
            return error
        return None

    @functools.cached_property
    def is_argument(self) -> bool:
        """Whether the transformation can be passed into `jit`."""
        return all(map(is_number, jax.tree.leaves(self.tx)))


class Counted:
    """A jitted function that counts how often it is traced."""

    def __init__(self, function: Callable[..., Any], **options: Any):
        def counted(*args: Any) -> Any:
            self.traces += 1
            return function(*args)

        self.traces = 0
        self.jitted = jax.jit(counted, **options)

    def trace(self, *args: Any) -> None:
        """Does what a call would do before it compiles."""
        self.jitted.eval_shape(*args)


def x64() -> AbstractContextManager[Any]:
    """Sixty-four bits while the context lasts."""
    # Before JAX 0.8 it is experimental.
    home: Any = jax if hasattr(jax, "enable_x64") else experimental
    return home.enable_x64(True)


def example_params() -> Any:
    """A vector, a matrix and a scalar in nested dicts."""
    zeros = {
        "dense": {"bias": np.zeros(2), "kernel": np.zeros((3, 2))},
        "scale": np.zeros(()),
    }
    return numbers_like(cast(zeros, "float32"), seed=0)


def _beside(x: jax.Array, p: jax.Array) -> jax.Array:
    return jax.device_put(x, p.sharding) if p.committed else x


def is_number(x: Any) -> bool:
    """Whether `x` is an array or a Python number."""
    return isinstance(x, jax.Array | np.ndarray | np.generic | int | float | complex)


def is_inexact(x: Any) -> bool:
    return is_number(x) and jnp.issubdtype(jnp.result_type(x), jnp.inexact)


def made(function: Callable[..., Any], *trees: Any) -> Any:
    """`tree.map` of a NumPy function to new arrays; unlike JAX's it never compiles."""
    return jax.tree.map(
        lambda *leaves: jnp.array(function(*map(np.asarray, leaves))), *trees
    )


def numbers_like(tree: Any, seed: int) -> Any:
    """The tree with normally distributed numbers in its floating-point leaves."""
    rng = np.random.default_rng(seed)

    def numbers(x: Any) -> Any:
        if not is_inexact(x):
            return x
        drawn = rng.normal(size=x.shape)
        if np.iscomplexobj(x):
            drawn = drawn + 1j * rng.normal(size=x.shape)
        return np.asarray(drawn).astype(x.dtype)

    return made(numbers, tree)


def cast(tree: Any, dtype: str) -> Any:
    """The tree with its floating-point leaves in a dtype, complex in its own pair."""

    def cast_leaf(x: Any) -> Any:
        if not is_inexact(x):
            return x
        if np.iscomplexobj(x):
            return x.astype("complex128" if dtype == "float64" else x.dtype)
        return x.astype(jnp.dtype(dtype))

    return made(cast_leaf, tree)
