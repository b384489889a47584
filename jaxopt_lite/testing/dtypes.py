"""Laws of types: what kind of arrays state and updates are made of."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.testing.case import Case, cast, x64
from jaxopt_lite.testing.compare import (
    Problem,
    at,
    describe,
    raised,
    same_types,
    with_paths,
)

# Dtypes of parameters and gradients. Nothing here is compiled: shapes are enough.
MIXTURES = (
    ("float32", "float32"),
    ("bfloat16", "bfloat16"),
    ("float16", "float16"),
    ("float64", "float64"),
    ("bfloat16", "float32"),
    ("float32", "bfloat16"),
)


def state_keeps_its_types(case: Case) -> Iterator[Problem]:
    """Structure, shapes, dtypes and weak types of the state never change."""
    for mixture in MIXTURES:
        with _mixed(case, mixture) as (where, params, gradients):
            try:
                old = jax.eval_shape(case.tx.init, params)
                steps = _steps(case, gradients, old, params)
            except Exception as error:
                yield raised(where, error)
                continue
            for step, (_, new) in steps.items():
                yield from same_types(f"{where}, the state after {step}", new, old)


def updates_have_the_result_type(case: Case) -> Iterator[Problem]:
    """Updates have the gradients' shapes, in `result_type(gradient, parameter)`.

    Where no parameters are given, they are in the gradient's dtype.
    """
    for mixture in MIXTURES:
        with _mixed(case, mixture) as (where, params, gradients):
            try:
                state = jax.eval_shape(case.tx.init, params)
                steps = _steps(case, gradients, state, params)
            except Exception as error:
                yield raised(where, error)
                continue
            expected = {
                "a step": jax.tree.map(_promoted, gradients, params),
                "a step without parameters": jax.tree.map(_struct, gradients),
            }
            for step, (u, _) in steps.items():
                yield from same_types(
                    f"{where}, the updates of {step}", u, expected[step]
                )


def nothing_is_weakly_typed(case: Case) -> Iterator[Problem]:
    """No leaf of state or updates is weakly typed."""
    for where, tree in _seen(case).items():
        for path, x in with_paths(tree):
            if getattr(x, "weak_type", False):
                yield Problem(at(where, path), describe(x), f"{x.dtype}, not weak")


def state_holds_arrays_only(case: Case) -> Iterator[Problem]:
    """Every leaf of the state is a plain array that checkpoints can hold.

    No Python or NumPy numbers, no strings, no typed keys, and nothing of size zero
    where no parameter is.
    """
    sized = all(p.size for p in jax.tree.leaves(case.params))
    for where, tree in _seen(case).items():
        for path, x in with_paths(tree):
            if not isinstance(x, jax.Array):
                yield Problem(at(where, path), describe(x), "a JAX array")
            elif jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
                yield Problem(at(where, path), describe(x), "raw uint32 key data")
            elif sized and not x.size:
                yield Problem(at(where, path), describe(x), "at least one element")


def init_needs_shapes_only(case: Case) -> Iterator[Problem]:
    """`init` gives the same state under `eval_shape` and on ShapeDtypeStructs."""
    expected = case.run.states[0]
    shapes = jax.tree.map(_struct, case.params)
    found = jax.eval_shape(case.tx.init, case.params)
    yield from same_types("init under eval_shape", found, expected)
    yield from same_types("init on ShapeDtypeStructs", case.tx.init(shapes), expected)


@contextlib.contextmanager
def _mixed(case: Case, mixture: tuple[str, str]) -> Iterator[tuple[str, Any, Any]]:
    """The name of a mixture of dtypes, with parameters and gradients of it."""
    params, gradients = mixture
    where = f"{params} parameters, {gradients} gradients"
    with x64() if "float64" in mixture else contextlib.nullcontext():
        yield where, cast(case.params, params), cast(case.params, gradients)


def _steps(case: Case, g: Any, state: Any, p: Any) -> dict[str, tuple[Any, Any]]:
    """A step with parameters, and one without where they are not needed."""
    steps = {"a step": jax.eval_shape(case.update, g, state, p)}
    if case.refusal is None:
        steps["a step without parameters"] = jax.eval_shape(case.update, g, state)
    return steps


def _seen(case: Case) -> dict[str, Any]:
    return {
        "the first state": case.run.states[0],
        "the state after a jitted step": case.run.states[1],
        "the state after an eager step": case.eager.states[1],
        "the jitted updates": case.run.updates[0],
        "the eager updates": case.eager.updates[0],
    }


def _struct(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def _promoted(g: Any, p: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(g.shape, jnp.result_type(g, p))
