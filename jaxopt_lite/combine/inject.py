"""Numbers of an optimizer that are kept in its state, where they can be changed."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.arguments import Given, bind, call, refuse_unknown, sort
from jaxopt_lite.core import checks
from jaxopt_lite.core.checks import article
from jaxopt_lite.core.hyperparameters import at_count, is_numeric
from jaxopt_lite.core.numbers import is_real, unchecked
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import (
    FromFunctions,
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.types import Count, DTypeLike, Params, State, Updates
from jaxopt_lite.core.value import Value, short_repr


class InjectStatefulHyperparamsState(NamedTuple):
    """The step count, the numbers in force, their schedules' states, the inner's."""

    count: Count  # type: ignore[assignment]
    hyperparams: dict[str, jax.Array]
    hyperparams_states: dict[str, State]
    inner_state: State


class Mapped(Value):
    """A factory whose transformations go through a function."""

    factory: Callable[..., Any]
    function: Callable[[GradientTransformation], GradientTransformation]

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.factory

    def __call__(self, *args: Any, **kwargs: Any) -> GradientTransformation:
        return _transformation(self.factory(*args, **kwargs)).mapped(self.function)


class InjectHyperparams(GradientTransformation):
    """What a factory makes of the numbers that stand in the state."""

    inner_factory: Callable[..., Any]
    numbers: Given
    schedules: Given
    static: Given
    static_args: tuple[str, ...]
    dtype: Any

    def init(self, params: Params) -> State:
        states = {name: x.init() for name, x in self.schedules}
        numbers = {name: self._number(name, x) for name, x in self.numbers}
        hyperparams = numbers | self._scheduled(states, {})
        made = self.at(hyperparams)
        _refuse_numbers_kept_twice(made, hyperparams)
        # A state shares no memory with what made it.
        copied = functools.partial(jnp.array, copy=True)
        hyperparams, states = jax.tree.map(copied, (hyperparams, states))
        return InjectStatefulHyperparamsState(
            jnp.zeros((), jnp.int32),
            hyperparams,
            states,
            made.init(params),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("inject_hyperparams", state, InjectStatefulHyperparamsState)
        own = {name: x for name, x in extra.items() if name != "commit"}
        states = state.hyperparams_states
        held = {k: self._number(k, x) for k, x in state.hyperparams.items()}
        hyperparams = held | self._scheduled(states, own)
        with unchecked():
            made = self.at(hyperparams)
        g = updates
        updates, inner = made.update(g, state.inner_state, params, **extra)
        # In another library a number that is an array decides on dtypes.
        inner = _in_the_dtypes_of(state.inner_state, inner)
        if isinstance(made, FromFunctions):
            updates = _in_the_dtypes_of(g if params is None else params, updates)
        following = {name: x.update(states[name], **own) for name, x in self.schedules}
        count, kept, states = select(
            extra.get("commit"),
            (saturating_increment(state.count), hyperparams, following),
            (state.count, held, states),
        )
        return updates, InjectStatefulHyperparamsState(count, kept, states, inner)

    def at(self, hyperparams: Mapping[str, Any]) -> GradientTransformation:
        """The transformation that the factory makes of these numbers."""
        names = [name for name, _ in (*self.numbers, *self.schedules)]
        if set(hyperparams) != set(names):
            raise ValueError(
                f"inject_hyperparams: state.hyperparams holds "
                f"{', '.join(sorted(hyperparams)) or 'nothing'}; expected "
                f"{', '.join(sorted(names)) or 'nothing'}. Change a number under the "
                f"name of the argument."
            )
        return _made(self.inner_factory, dict(self.static) | dict(hyperparams))

    def begun(self) -> GradientTransformation:
        """The transformation that the factory makes of the first step's numbers."""
        return self.at(dict(self.numbers) | _begun(self.schedules))

    def arguments(self) -> dict[str, Any]:
        """What the factory was called with, by name."""
        return dict((*self.numbers, *self.schedules, *self.static))

    def mapped(
        self, function: Callable[[GradientTransformation], GradientTransformation]
    ) -> GradientTransformation:
        factory = Mapped(self.inner_factory, function)
        return function(dataclasses.replace(self, inner_factory=factory))

    def hyperparams(self) -> dict[str, Any]:
        static = tuple((name, x) for name, x in self.static if is_numeric(x))
        return dict((*self.numbers, *self.schedules, *static))

    def with_hyperparams(self, hyperparams: Mapping[str, Any]) -> Self:
        given = self.arguments() | dict(hyperparams)
        return type(self).of(self.inner_factory, given, self.static_args, self.dtype)

    def given(self, state: State) -> dict[str, jax.Array]:
        """The numbers that the factory is given at the next step."""
        checks.named_tuple("get_hyperparams", state, InjectStatefulHyperparamsState)
        # Arrays, and not what a framework keeps them in and changes later.
        held = {name: jnp.asarray(x) for name, x in state.hyperparams.items()}
        scheduled = {
            name: jnp.asarray(x(state.hyperparams_states[name]), _dtype(self.dtype))
            for name, x in self.schedules
        }
        return held | scheduled

    def in_force(self, state: State) -> dict[str, Any]:
        given = self.given(state)
        static = {k: at_count(x, state.count) for k, x in self.static if is_numeric(x)}
        return given | static

    @classmethod
    def of(
        cls,
        inner_factory: Callable[..., Any],
        given: Mapping[str, Any],
        static_args: tuple[str, ...],
        dtype: Any,
    ) -> Self:
        """What keeps the numbers among these arguments in its state.

        The factory is called once with what the state will hold, so that it refuses
        what it does not take before there is a state.
        """
        numbers, schedules, static = sort(inner_factory, given, static_args)
        rounded = {name: _rounded(x, dtype) for name, x in numbers}
        _made(inner_factory, dict(static) | rounded | _begun(schedules))
        return cls(inner_factory, numbers, schedules, static, static_args, dtype)

    def _scheduled(
        self, states: Mapping[str, State], extra: dict[str, Any]
    ) -> dict[str, jax.Array]:
        """The numbers that schedules have in force."""
        return {
            name: self._number(name, schedule(states[name], **extra))
            for name, schedule in self.schedules
        }

    def _number(self, name: str, x: Any) -> jax.Array:
        """A number in the dtype that it is kept in, whatever stood in its place."""
        is_other = x is None or isinstance(x, str | Value | FunctionType)
        if is_other or not is_real(jnp.asarray(x).dtype):
            raise TypeError(
                f"inject_hyperparams: {name} is {x!r}, {article(type(x).__name__)}; "
                f"expected a number."
            )
        x = jnp.asarray(x, _dtype(self.dtype))
        if x.shape:
            raise ValueError(
                f"inject_hyperparams: {name} is {checks.describe(x)}; expected one "
                f"number. To sweep over many, use jax.vmap over the optimizer."
            )
        return x

    def __repr__(self) -> str:
        given = self.arguments().items()
        shown = ", ".join(f"{name}={short_repr(x)}" for name, x in given)
        return f"inject_hyperparams({short_repr(self.inner_factory)})({shown})"


def _begun(schedules: Given) -> dict[str, Any]:
    """The numbers that schedules begin with."""
    return {name: x(x.init()) for name, x in schedules}


def _refuse_numbers_kept_twice(
    tx: GradientTransformation, hyperparams: Mapping[str, Any]
) -> None:
    """Refuses numbers that stand in a state inside too, where changes would not arrive.

    Raises:
        TypeError: naming them.
    """
    if isinstance(tx, InjectHyperparams):
        inside = {id(x) for _, x in tx.numbers}
        twice = [name for name, x in hyperparams.items() if id(x) in inside]
        if twice:
            raise TypeError(
                f"inject_hyperparams: inner_factory keeps {', '.join(twice)} in the "
                f"state already; expected a function that makes a transformation of "
                f"numbers, such as `adamw` itself."
            )
    for child in tx.children().values():
        _refuse_numbers_kept_twice(child, hyperparams)


def _made(
    inner_factory: Callable[..., Any], given: Mapping[str, Any]
) -> GradientTransformation:
    return _transformation(call(inner_factory, given))


def _transformation(made: Any) -> GradientTransformation:
    return as_transformation(made, "inject_hyperparams: what inner_factory made")


def _rounded(x: Any, dtype: Any) -> Any:
    """A number as the state will hold it, but known, where that is possible."""
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x, _dtype(dtype))


def _dtype(given: Any) -> Any:
    return given or jax.dtypes.canonicalize_dtype(float)


def _in_the_dtypes_of(old: Any, new: Any) -> Any:
    """A tree whose arrays have the dtypes of those of another, where it has as many."""
    structure: Any = jax.tree.structure(new)
    leaves = jax.tree.leaves(new)
    kept = jax.tree.leaves(old)
    if len(kept) != len(leaves):
        return new
    return structure.unflatten(map(_like, leaves, kept))


def _like(new: Any, old: Any) -> Any:
    """An array in the dtype of another."""
    if getattr(new, "dtype", None) == getattr(old, "dtype", None):
        return new
    return jnp.asarray(new).astype(jnp.result_type(old))


def inject_hyperparams(
    inner_factory: Callable[..., Any],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: DTypeLike | None = None,
) -> Callable[..., GradientTransformation]:
    """Keeps the numbers of an optimizer in its state, where they can be changed.

        tx = inject_hyperparams(adamw)(learning_rate=1e-3)
        state = tx.init(params)
        state.hyperparams["learning_rate"] = jnp.float32(1e-4)

    The numbers are arrays of the state, so changing one traces nothing anew, also where
    `tx` is static as in Flax (in nnx, which refuses arrays there, write
    `optimizer.opt_state.hyperparams["learning_rate"][...] = 1e-4`); `set_hyperparams`
    changes them without changing the state in place. Any other number assigned in place
    takes effect as well, such as 1e-4 or `jnp.asarray(1e-4)`; the next call of a jitted
    function then traces once more, since its type is another.

    Args:
        inner_factory: a function that makes a transformation, ours or Optax's.
        static_args: the names of arguments to leave as they are.
        hyperparam_dtype: dtype of the numbers; by default float32, or float64 under
            `jax_enable_x64`, whatever the dtype of the parameters.

    Returns:
        A function of the factory's arguments that makes a transformation with
        `InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states,
        inner_state)`. In `hyperparams` stands every argument that is a number, a
        default too; a schedule is a number there that follows its steps, and whatever
        is assigned to it is overwritten. What is no number is left as it is, such as
        flags, masks, tuples, functions and counts, and so is `by_path`.

    What is annotated as a number (`float` among its types) or has a floating-point
    default is one, and a function in its place a schedule. Without an annotation the
    value tells: a floating-point number is a number, a function that makes one of a
    step count a schedule.

    Raises:
        TypeError: if `inner_factory` is no function, makes no transformation, or has no
            argument of a name; the nearest is named.
        ValueError: if a number is an array of several; from `update`, if the names in
            `hyperparams` are others.

    In Optax the numbers take the dtype of the parameters (in bfloat16 0.999 is 1, and
    Adam's first step nan), whole numbers are traced, and any function is taken for a
    schedule, so that a mask is called with the step count.

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.inject_hyperparams(jl.sgd)(0.5, momentum=0.9)
        >>> params = jnp.zeros(1)
        >>> state = tx.init(params)
        >>> state.hyperparams["learning_rate"] = jnp.float32(2.0)
        >>> tx.update(jnp.ones(1), state, params)[0]
        Array([-2.], dtype=float32)
    """
    if not callable(inner_factory):
        raise TypeError(
            f"inject_hyperparams: inner_factory is {inner_factory!r}; expected a "
            f"function that makes a transformation, such as `adamw`."
        )
    names = _names(static_args)
    dtype = dict(keep(hyperparam_dtype=hyperparam_dtype).dtypes).get("hyperparam_dtype")
    if dtype is not None and not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"inject_hyperparams: hyperparam_dtype is {dtype}; expected a "
            f"floating-point one."
        )

    @functools.wraps(inner_factory)
    def make(*args: Any, **kwargs: Any) -> GradientTransformation:
        given = bind(inner_factory, args, kwargs)
        refuse_unknown(inner_factory, given, names)
        return InjectHyperparams.of(inner_factory, given, names, dtype)

    return make


def _names(static_args: str | Iterable[str]) -> tuple[str, ...]:
    """The names of arguments, each once, in order."""
    given = [static_args] if isinstance(static_args, str) else static_args
    if not isinstance(given, Iterable) or not all(isinstance(x, str) for x in given):
        raise TypeError(
            f"inject_hyperparams: static_args is {static_args!r}; expected the names "
            f"of arguments."
        )
    return tuple(sorted(set(given)))
