"""The function to minimize along one direction: what every line search asks of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import gate
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import inner, promote, real
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.transformation import EmptyState, accepted, apply_updates
from jaxopt_lite.core.trees import Flat, is_end, is_masked
from jaxopt_lite.core.types import Params, Updates
from jaxopt_lite.rules.scaling import Scale
from jaxopt_lite.tree.matching import arrays

_Carried = TypeVar("_Carried")


class Point(NamedTuple):
    """How far along the line, the value there, and the slope."""

    stepsize: jax.Array
    value: jax.Array
    slope: jax.Array


class Line:
    """`f(params + stepsize * updates)` as a function of the step size.

    Attributes:
        params: where the line begins, taken apart.
        dtype: that of all numbers, at least float32.
        start: the point at step size zero, with the value that the caller passed.
        grad: the gradient there, as the caller passed it, in the dtypes of `params`.
        is_sound: whether value and slope at the start are finite; else no step is.
    """

    def __init__(
        self,
        where: str,
        updates: Updates,
        params: Params | None,
        extra: Mapping[str, Any],
    ):
        _demand(where, params, extra)
        self._where = where
        self.params = Flat(params)
        _refuse_masked(where, self.params)
        u = checks.align(where, self.params, "the updates", updates)
        checks.shapes(where, "update", u, "parameter", self.params)
        checks.presence(
            where, u, self.params, [not is_end(p) for p in self.params.leaves]
        )
        self._updates = u
        rest = {
            name: x
            for name, x in extra.items()
            if name not in ("value", "grad", "value_fn", "commit")
        }
        self._value_fn = extra["value_fn"]
        self._keywords = accepted(self._value_fn, rest)
        self.dtype = number_dtype(params)
        self.grad = self._like_params("grad", extra["grad"])
        self.start = Point(
            jnp.zeros((), self.dtype),
            self._scalar("value is", extra["value"]).astype(self.dtype),
            self._slope(self.grad),
        )
        self.is_sound = jnp.isfinite(self.start.value) & jnp.isfinite(self.start.slope)

    def step(self, stepsize: jax.Array) -> Updates:
        """The updates of a step; zeros, whatever was to be scaled, of no step."""
        return gate(stepsize > 0, self._scaled(stepsize))

    def value(self, stepsize: jax.Array) -> jax.Array:
        """The value after a step."""
        return self._value(self._after(stepsize)).astype(self.dtype)

    def value_and_pullback(
        self, stepsize: jax.Array
    ) -> tuple[jax.Array, Callable[[], Updates]]:
        """The value after a step, and a function that gives the gradient there."""
        value, pullback = jax.vjp(self._value, self._after(stepsize))

        def gradient() -> Updates:
            (grad,) = pullback(jnp.ones_like(value))
            return self._like_params("the gradient of value_fn", grad)

        return value.astype(self.dtype), gradient

    def point(self, stepsize: jax.Array) -> tuple[Point, Updates]:
        """Value and slope after a step, and the gradient."""
        value, gradient = self.value_and_pullback(stepsize)
        grad = gradient()
        return Point(stepsize, value, self._slope(grad)), grad

    def _scaled(self, stepsize: jax.Array) -> Updates:
        tx = leafwise(Scale(stepsize))
        updates, _ = tx.update(self._updates.tree, EmptyState(), self.params.tree)
        return updates

    def _after(self, stepsize: jax.Array) -> Params:
        """The parameters as the caller will have them after the step."""
        updates = jax.tree.map(_as_rounded, self._scaled(stepsize))
        return jax.tree.map(_as_rounded, apply_updates(self.params.tree, updates))

    def _value(self, params: Params) -> jax.Array:
        value = self._value_fn(params, **self._keywords)
        return self._scalar("value_fn returns", value)

    def _scalar(self, what: str, x: Any) -> jax.Array:
        x = jnp.asarray(x)
        if x.shape:
            raise ValueError(
                f"{self._where}: {what} {checks.describe(x)}; expected one number."
            )
        return x

    def _slope(self, grad: Updates) -> jax.Array:
        """The derivative by the step size; `grad` is what `jax.grad` gives."""
        terms = [
            inner(jnp.conj(u.astype(wide)), g.astype(wide))
            for u, g in zip(self._updates.leaves, Flat(grad).leaves, strict=True)
            if not is_end(u) and not is_end(g)
            for wide in [arithmetic_dtype(promote(u.dtype, g.dtype))]
        ]
        total = functools.reduce(jnp.add, terms, jnp.zeros((), self.dtype))
        return total.astype(self.dtype)

    def _like_params(self, what: str, grad: Updates) -> Updates:
        """A gradient in the tree and the dtypes of the parameters."""
        flat = checks.align(self._where, self.params, what, grad)
        checks.shapes(self._where, "gradient", flat, "parameter", self.params)
        return self.params.rebuild(
            g if is_end(g) else jnp.asarray(g, jnp.result_type(p))
            for g, p in zip(flat.leaves, self.params.leaves, strict=True)
        )


def _as_rounded(x: jax.Array) -> jax.Array:
    """A narrow array to the bit: XLA would compute on with what rounding cut off."""
    return jax.lax.optimization_barrier(x) if x.dtype.itemsize < 4 else x


def number_dtype(params: Params) -> Any:
    """The dtype of values, slopes and step sizes: the parameters', at least float32."""
    dtypes = (arithmetic_dtype(jnp.result_type(p)) for p in arrays(params))
    return functools.reduce(promote, map(real, dtypes), jnp.dtype(jnp.float32))


def loop(
    condition: Callable[[_Carried], jax.Array],
    body: Callable[[_Carried], _Carried],
    first: _Carried,
) -> _Carried:
    """`lax.while_loop` where anything is traced, a Python loop elsewhere.

    Outside of `jit`, `lax.while_loop` would be compiled anew at every call, since its
    functions are new.
    """
    state = first
    if not any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(first)):
        while not isinstance(goes_on := condition(state), jax.core.Tracer):
            if not goes_on:
                return state
            state = body(state)
    return jax.lax.while_loop(condition, body, state)


def branch(
    condition: jax.Array,
    if_true: Callable[[], _Carried],
    if_false: Callable[[], _Carried],
) -> _Carried:
    """`lax.cond` where the condition is traced, Python's `if` elsewhere."""
    if isinstance(condition, jax.core.Tracer):
        return jax.lax.cond(condition, if_true, if_false)
    return if_true() if condition else if_false()


def report_failure(
    where: str, start: Point, found: Mapping[str, Any], fails: Any
) -> None:
    """Prints what is known where a search has failed."""
    names = ", ".join(f"{name} {{{name}}}" for name in found)
    text = f"{where} found no good step: value {{value}}, slope {{slope}}; {names}"

    def show() -> None:
        jax.debug.print(text, value=start.value, slope=start.slope, **found)

    branch(fails, show, lambda: None)


def _demand(where: str, params: Any, extra: Mapping[str, Any]) -> None:
    """Refuses a call without what a line search needs."""
    how = (
        "Call update(updates, state, params, value=value, grad=grad, "
        "value_fn=value_fn), where value, grad = jax.value_and_grad(value_fn)(params)."
    )
    if params is None:
        raise ValueError(
            f"{where}: update was called without params; expected the parameters. {how}"
        )
    for name in ("value", "grad", "value_fn"):
        if name not in extra:
            raise TypeError(f"{where}: update was called without `{name}`. {how}")


def _refuse_masked(where: str, params: Flat) -> None:
    """Refuses parameters of which some are hidden: `value_fn` needs them all.

    A plain `()` may be a layer without parameters.

    Raises:
        ValueError: naming the first.
    """
    hidden = [
        path
        for path, x in zip(params.paths, params.leaves, strict=True)
        if is_masked(x) and hasattr(x, "_fields")
    ]
    if hidden:
        raise ValueError(
            f"{where}: {checks.quote(hidden[0])} is masked; expected all parameters, "
            f"since value_fn is evaluated at them. Put the line search behind, as in "
            f"chain(partition(...), {where}(...)), and not inside of `masked` or "
            f"`partition` or in a chain with `freeze`."
        )
