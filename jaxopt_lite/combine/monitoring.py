"""Measurements of the updates, kept in the state for whoever looks."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from jaxopt_lite.core.transformation import (
    EmptyState,
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.types import (
    DTypeLike,
    Hyperparameter,
    Params,
    PyTree,
    State,
    Updates,
)
from jaxopt_lite.rules.momentum import ema


class SnapshotState(NamedTuple):
    """The last measurement, under its name."""

    measurement: dict[str, PyTree]


class Snapshot(GradientTransformation):
    """Passes updates on and keeps a measurement of them."""

    measure_name: str
    measure: Callable[[Updates], PyTree]

    def init(self, params: Params) -> State:
        return SnapshotState({self.measure_name: _zeros(self.measure, params)})

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        old = state.measurement[self.measure_name]
        new = _as_before(self.measure(updates), old)
        kept = select(extra.get("commit"), new, old)
        return updates, SnapshotState({self.measure_name: kept})

    def metrics(self, state: State) -> dict[str, Any]:
        return state.measurement


def snapshot(
    measure_name: str, measure: Callable[[Updates], PyTree]
) -> GradientTransformation:
    """Keeps a measurement of the updates that pass through in the state.

    Args:
        measure_name: the name under which the state holds it.
        measure: takes the tree of updates, returns an array or a tree of arrays. Of the
            parameters it must give the same shapes.

    Returns:
        A transformation with `SnapshotState({measure_name: …})`, zero before the first
        step (in Optax what `measure` gives for the parameters). The measurement keeps
        the dtype that it has for the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.snapshot("norm", jl.global_norm), jl.sgd(0.1))
        >>> g = jnp.array([3.0, 4.0])
        >>> _, state = tx.update(g, tx.init(g))
        >>> state[0].measurement
        {'norm': Array(5., dtype=float32)}
    """
    return Snapshot(measure_name, measure)


class MonitorState(NamedTuple):
    """The last measurements by name, and the states of what measures."""

    measurements: dict[str, PyTree]
    measure_states: tuple[State, ...]


class Monitor(GradientTransformation):
    """Passes updates on and keeps several measurements, which may have states."""

    names: tuple[str, ...]
    measures: tuple[GradientTransformation, ...]

    def init(self, params: Params) -> State:
        states = tuple(tx.init(params) for tx in self.measures)
        first = (_zeros(partial(_first_update, tx), params) for tx in self.measures)
        return MonitorState(dict(zip(self.names, first, strict=True)), states)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        measured, states = {}, []
        for name, tx, held in zip(
            self.names, self.measures, state.measure_states, strict=True
        ):
            new, after = tx.update(updates, held, params, **extra)
            old = state.measurements[name]
            measured[name] = select(extra.get("commit"), _as_before(new, old), old)
            states.append(after)
        return updates, MonitorState(measured, tuple(states))

    def metrics(self, state: State) -> dict[str, Any]:
        return state.measurements

    def children(self) -> dict[str, GradientTransformation]:
        return dict(zip(self.names, self.measures, strict=True))

    def child_states(self, state: State) -> dict[str, State]:
        return dict(zip(self.names, state.measure_states, strict=True))

    def with_children(self, children: Mapping[str, GradientTransformation]) -> Self:
        return dataclasses.replace(self, measures=tuple(children.values()))


def monitor(measures: Mapping[str, Any]) -> GradientTransformation:
    """Keeps several measurements of the updates that pass through in the state.

    Args:
        measures: by name, a function of the updates as in `snapshot`, or a
            transformation whose updates are the measurement, as of `measure_with_ema`.

    Returns:
        A transformation with `MonitorState(measurements, measure_states)`. The
        measurements are zero before the first step; in Optax they are missing, and
        appear with it.

    Raises:
        TypeError: if a member is neither function nor transformation.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> mean = jl.measure_with_ema(jl.global_norm, decay=0.5)
        >>> tx = jl.monitor({"norm": jl.global_norm, "mean": mean})
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 4.0):
        ...     _, state = tx.update(jnp.array([g]), state)
        >>> state.measurements
        {'norm': Array(4., dtype=float32), 'mean': Array(3., dtype=float32)}
    """
    return Monitor(
        tuple(measures),
        tuple(_measuring(f"monitor: {name!r}", x) for name, x in measures.items()),
    )


def _measuring(where: str, measure: Any) -> GradientTransformation:
    """What measures, as a transformation whose updates are the measurement."""
    return Measure(measure) if callable(measure) else as_transformation(measure, where)


class Measure(GradientTransformation):
    """A measurement in the place of the updates."""

    measure: Callable[[Updates], PyTree]

    def init(self, params: Params) -> State:
        return EmptyState()

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        return self.measure(updates), state


class MeasureWithEma(GradientTransformation):
    """The moving mean of a measurement."""

    measure: Callable[[Updates], PyTree]
    mean: GradientTransformation
    holds = {"mean": ""}

    def init(self, params: Params) -> State:
        return EmptyState(), self.mean.init(_zeros(self._measured, params))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        mean, held = self.mean.update(self._measured(updates), state[1], None, **extra)
        return mean, (EmptyState(), held)

    def child_states(self, state: State) -> dict[str, State]:
        return {"mean": state[1]}

    def _measured(self, updates: Updates) -> PyTree:
        """The measurement in floating point: flags and numbers have a mean, too."""
        return jax.tree.map(
            lambda x: jnp.asarray(x, jnp.result_type(x, float)), self.measure(updates)
        )


def measure_with_ema(
    measure: Callable[[Updates], PyTree],
    decay: Hyperparameter,
    debias: bool = True,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Turns the updates into the moving mean of a measurement of them, for `monitor`.

    Args:
        measure: takes the tree of updates, returns an array or a tree of arrays; flags
            and integers count as floating-point numbers.
        decay: weight of the past, per step, in [0, 1).
        debias: whether to divide by `1 - decay**t`.
        accumulator_dtype: dtype in which the mean is kept, as in `ema`.

    Returns:
        A transformation with `(EmptyState(), EmaState(count, ema))`.

    Raises:
        ValueError: if `decay` is outside its range.
        TypeError: if it is no number, array, schedule or `by_path`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.measure_with_ema(lambda g: jnp.max(g) > 1.0, decay=0.5)
        >>> tx.update(jnp.array([2.0, 0.0]), tx.init(jnp.zeros(2)))[0]
        Array(1., dtype=float32)
    """
    return MeasureWithEma(measure, ema(decay, debias, accumulator_dtype))


def _first_update(tx: GradientTransformation, params: Params) -> Updates:
    return tx.update(params, tx.init(params), params)[0]


def _zeros(measure: Callable[[PyTree], PyTree], tree: PyTree) -> PyTree:
    """Zeros in the shape of a measurement."""
    shapes = jax.eval_shape(measure, tree)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _as_before(new: PyTree, old: PyTree) -> PyTree:
    """A measurement in the dtypes of the last."""
    return jax.tree.map(lambda x, y: jnp.asarray(x, y.dtype), new, old)
