"""What is compiled for one leaf: a run of rules, traced once per (rules, shape, dtype).

The functions here see one array at a time. They are jitted, and not inlined into the
trace of the whole update: a thousand leaves of one shape are traced once. XLA inlines
the calls; `python -m benchmarks step` counts the bytes that they move.
"""

import functools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.checks import describe
from jaxopt_lite.core.codec import Keeping, seed
from jaxopt_lite.core.numerics import promote, real, saturating_increment
from jaxopt_lite.core.placement import everywhere, in_any_mesh
from jaxopt_lite.core.rule import Rule, keywords
from jaxopt_lite.core.slots import Keeper
from jaxopt_lite.core.storage import arithmetic_dtype, widen
from jaxopt_lite.core.transformation import select


class Program(NamedTuple):
    """A compiled step of one leaf, and the arrays among its rules' numbers."""

    step: Callable[..., Any]
    numbers: list[Any]


def program(
    rules: list[Rule], dtype: Any, kept: tuple[tuple[Keeping, ...], ...]
) -> Program:
    """The step of one leaf through these rules, whose updates come in `dtype`.

    `kept` says how each slot of each rule is.
    """
    numbers, structure = jax.tree.flatten(rules)
    return Program(_step(structure, dtype, kept), numbers)


@functools.lru_cache(maxsize=4096)
def _step(
    structure: Any, dtype: Any, keepings: tuple[tuple[Keeping, ...], ...]
) -> Callable[..., Any]:
    """The step of one leaf through rules of one structure, traced once per shape."""
    wide = arithmetic_dtype(dtype)

    def step(
        numbers: list[Any],
        steps: list[Any],
        commit: Any,
        shared: list[Any],
        common: dict[str, Any],
        draws: list[Any],
        g: Any,
        p: Any,
        rows: list[Any],
        own: dict[str, Any],
        leaf: Any,
    ) -> tuple[Any, list[Any]]:
        named = {**common, **own}
        u = jnp.asarray(g).astype(wide)
        p = None if p is None else jnp.asarray(p).astype(wide)
        kept = []
        rules = with_numbers(structure.unflatten(numbers), wide)
        for rule, t, row, agreed, keeping, draw in zip(
            rules, steps, rows, shared, keepings, draws, strict=True
        ):
            keys = {**_given(rule, named, wide), "shared": with_numbers(agreed, wide)}
            own_seed = None if draw is None else seed(draw, leaf)
            keeper = Keeper(rule, keeping, np.shape(g), wide, own_seed)
            old = keeper.read(row)
            try:
                u, new, row = _move(keeper, row, old, u, p, t, commit, keys)
            except TypeError as error:
                _explain(error, rule, p, t)
                raise
            _check_shapes(rule, g, u, old, new)
            kept.append(row)
        return u.astype(dtype), kept

    return jax.jit(step)


def apply(
    step: Callable[..., Any], common: tuple[Any, ...], own: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, list[Any]]]:
    """A step for each leaf: what is common to all, and what each has of its own.

    Several leaves of one shape go through it as one stack.
    """
    if len(own) == 1:
        return [step(*common, *own[0])]
    stacks = jax.tree.map(lambda *xs: jnp.stack(xs), *own)
    moved = jax.vmap(partial(step, *common))(*stacks)
    return [jax.tree.map(lambda x, i=i: x[i], moved) for i in range(len(own))]


def _given(rule: Rule, named: dict[str, Any], wide: Any) -> dict[str, Any]:
    """The keywords, the leaves of trees among them in the dtype of the arithmetic."""
    trees = {k: widen(jnp.asarray(named[k]), wide) for k in rule.trees if k in named}
    return {**named, **trees}


def _explain(error: TypeError, rule: Rule, p: Any, t: Any) -> None:
    """Adds what a rule may have forgotten to say that it reads."""
    for name, value, says in (
        ("step", t, rule.reads_step),
        ("params", p, rule.reads_params),
    ):
        if value is None and not says:
            error.add_note(
                f"{type(rule).__name__}: no {name} here. If the rule reads the {name}, "
                f"set the class attribute `reads_{name} = True`."
            )


def _check_shapes(rule: Rule, g: Any, u: Any, old: Any, new: Any) -> None:
    """Refuses an update or a slot that has not the shape it had."""
    names = ("the update", *old._fields)
    for what, x, y in zip(names, (u, *new), (g, *old), strict=True):
        if jax.tree.map(jnp.shape, x) != jax.tree.map(jnp.shape, y):
            raise ValueError(
                f"{type(rule).__name__}: {what} comes out as {describe(x)}; expected "
                f"{describe(y)}. A rule keeps the shape of each array."
            )


def _move(
    keeper: Keeper,
    row: Any,
    old: Any,
    g: Any,
    p: Any,
    t: Any,
    commit: Any,
    keys: dict[str, Any],
) -> tuple[Any, Any, Any]:
    """One rule's transition, the choice of slots, and its readout."""
    rule = keeper.rule

    def asked(method: str) -> dict[str, Any]:
        return {k: keys[k] for k in keywords(type(rule), method) if k in keys}

    if rule.update is not None:
        u, new = rule.update(g, old, p, t, **asked("update"))
        return u, *keeper.keep(commit, new, old, row)
    new = rule.advance(g, old, p, t, **asked("advance"))
    new, row = keeper.keep(commit, new, old, row)
    emit = _unsplit(rule, "emit", g, lambda sharding: sharding)
    return emit(rule, asked("emit"), g, new, p, t), new, row


def _unsplit(
    rule: Rule, method: str, g: Any, place: Callable[[Any], Any]
) -> Callable[..., Any]:
    """A method of a rule that may mix the elements of its arrays."""

    def called(rule: Rule, keys: dict[str, Any], *args: Any) -> Any:
        return getattr(rule, method)(*args, **keys)

    return in_any_mesh(called, g, place) if rule.mixes else called


def with_numbers(tree: Any, wide: Any) -> Any:
    """Rules or shared numbers, their arrays in the dtype of the arithmetic."""

    def cast(x: Any) -> Any:
        x = jnp.asarray(x)
        return x.astype(real(wide)) if jnp.issubdtype(x.dtype, jnp.number) else x

    return jax.tree.map(cast, tree)


@partial(jax.jit, static_argnums=1)
def step_number(count: Any, dtype: Any) -> Any:
    """The step that is being taken, from 1, in the dtype of the arithmetic."""
    return saturating_increment(count).astype(real(dtype))


@jax.jit
def advance_counts(counts: list[Any], commit: Any) -> list[Any]:
    """The counts after this step, by link and name."""
    return select(commit, jax.tree.map(saturating_increment, counts), counts)


@functools.lru_cache(maxsize=4096)
def measure_program(
    structure: Any, dtype: Any, keeping: tuple[Keeping, ...]
) -> Callable[..., Any]:
    """What one leaf contributes, traced once per shape."""
    wide = arithmetic_dtype(dtype)

    def measure(
        numbers: Any,
        step: Any,
        p: Any,
        row: Any,
        unit: Any,
        shared: Any,
        named: dict[str, Any],
        g: Any,
    ) -> Any:
        rule = with_numbers(structure.unflatten(numbers), wide)
        own = {"unit": unit.astype(real(wide)), "shared": with_numbers(shared, wide)}
        keys = {**_given(rule, named, wide), **own}
        g = jnp.asarray(g).astype(wide)
        return _unsplit(rule, "measure", g, everywhere)(
            rule,
            {k: keys[k] for k in keywords(type(rule), "measure") if k in keys},
            g,
            Keeper(rule, keeping, np.shape(g), wide, None).read(row),
            None if p is None else jnp.asarray(p).astype(wide),
            step,
        )

    return jax.jit(measure)


def measure_init(rule: Rule, p: Any) -> Any:
    """What one leaf contributes to the numbers before the first step."""
    numbers, structure = jax.tree.flatten(rule)
    return _measure_init(structure, jnp.result_type(p))(numbers, p)


@functools.lru_cache(maxsize=4096)
def _measure_init(structure: Any, dtype: Any) -> Callable[..., Any]:
    wide = arithmetic_dtype(dtype)

    def measure(numbers: Any, p: Any) -> Any:
        rule = with_numbers(structure.unflatten(numbers), wide)
        return rule.measure_init(jnp.asarray(p).astype(wide))

    return jax.jit(measure)


@jax.jit
def total(partials: list[Any]) -> Any:
    """The sum over leaves, in the widest of their dtypes."""

    def add(*xs: Any) -> Any:
        dtype = functools.reduce(promote, [x.dtype for x in xs])
        return functools.reduce(jnp.add, [x.astype(dtype) for x in xs])

    return jax.tree.map(add, *partials)
