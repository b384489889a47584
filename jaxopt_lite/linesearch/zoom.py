"""A step size that decreases the function and its slope: bracketed, then zoomed in."""

import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.kernel import with_numbers
from jaxopt_lite.core.ranges import FIXED, Bound, Magnitude, Steps, Within, checked
from jaxopt_lite.core.transformation import GradientTransformation, select
from jaxopt_lite.core.types import Numeric, Params, State, Updates
from jaxopt_lite.linesearch.interval import Interval, bracketed, interpolated, narrowed
from jaxopt_lite.linesearch.line import Line, Point, loop, number_dtype, report_failure
from jaxopt_lite.tree import zeros_like

_NAME = "scale_by_zoom_linesearch"
_GUESSES = ("keep", "one")


class ZoomLinesearchInfo(NamedTuple):
    """How many step sizes were tried, and by how much each criterion is missed."""

    num_linesearch_steps: jax.Array
    decrease_error: jax.Array
    curvature_error: jax.Array


class ScaleByZoomLinesearchState(NamedTuple):
    """The last step size, and value and gradient after the step.

    If no step was possible, the step size is the last that was tried. The value is
    infinite before the first step.
    """

    learning_rate: jax.Array
    value: jax.Array
    grad: Updates
    info: ZoomLinesearchInfo


class Search(NamedTuple):
    """The point tried last and its errors, the interval, and the best to fall back to.

    `safe` is a point that decreases enough, even if its slope is too steep; the start
    while there is none.
    """

    point: Point
    grad: Updates
    info: ZoomLinesearchInfo
    interval: Interval
    safe: Point
    safe_grad: Updates
    is_done: jax.Array
    has_failed: jax.Array


class ScaleByZoomLinesearch(GradientTransformation):
    """Updates, scaled by a step size that makes function and slope decrease."""

    max_linesearch_steps: Annotated[Steps, FIXED]
    max_learning_rate: Annotated[Any, Within("(0, inf]"), FIXED] | None
    tol: Annotated[Magnitude, FIXED]
    increase_factor: Annotated[Any, Within("(1, inf)"), FIXED]
    slope_rtol: Annotated[Any, Within("[0, 1)"), FIXED]
    curv_rtol: Annotated[Bound, FIXED]
    approx_dec_rtol: Annotated[Magnitude, FIXED] | None
    stepsize_precision: Annotated[Magnitude, FIXED]
    initial_guess_strategy: str
    verbose: bool

    def init(self, params: Params) -> State:
        dtype = number_dtype(params)
        return ScaleByZoomLinesearchState(
            learning_rate=jnp.ones((), dtype),
            value=jnp.full((), jnp.inf, dtype),
            grad=zeros_like(params),
            info=_nothing_tried(dtype),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        line = Line(_NAME, updates, params, extra)
        checks.named_tuple(_NAME, state, ScaleByZoomLinesearchState)
        found = with_numbers(self, line.dtype).search(line, state.learning_rate)
        end, grad = self._end(found)
        if self.verbose:
            known = {"stepsize": found.point.stepsize, **found.info._asdict()}
            report_failure(_NAME, line.start, known, found.has_failed)
        tried = jnp.where(end.stepsize > 0, end.stepsize, found.point.stepsize)
        new = ScaleByZoomLinesearchState(
            jnp.where(line.is_sound, tried, state.learning_rate),
            end.value,
            grad,
            found.info,
        )
        return line.step(end.stepsize), select(extra.get("commit"), new, state)

    def search(self, line: Line, last: jax.Array) -> Search:
        """Goes on until both criteria hold or the steps are used up."""
        # Zero, which is in no state of this transformation, would stay zero for ever.
        keeps = self.initial_guess_strategy == "keep"
        guess = jnp.where(last > 0, last, 1) if keeps else jnp.ones(())
        guess = guess.astype(line.dtype)

        def goes_on(search: Search) -> jax.Array:
            return line.is_sound & ~(search.is_done | search.has_failed)

        return loop(goes_on, functools.partial(self._next, line, guess), _begin(line))

    def _next(self, line: Line, guess: jax.Array, search: Search) -> Search:
        """The search after one more step size."""
        is_first = search.info.num_linesearch_steps == 0
        is_found = search.interval.is_found
        longer, is_longest = self._longer(is_first, search.point, guess)
        shorter = interpolated(search.interval)
        point, grad = line.point(jnp.where(is_found, shorter, longer))
        tried = self._judged(search, line.start, point)
        is_high, is_good = tried.decrease_error > 0, _error(tried) <= self.tol
        bracket = bracketed(search.point, point, is_first, is_high, is_good)
        part = narrowed(search.interval, point, is_high)
        # While zooming the lowest such point, and before that the last, counts.
        is_safe = tried.decrease_error <= self.tol
        is_safe &= ~is_found | (point.value < search.safe.value)
        safe, safe_grad = select(
            is_safe, (point, grad), (search.safe, search.safe_grad)
        )
        is_done = is_good | (~is_found & is_longest & ~bracket.is_found)
        is_exhausted = search.interval.length <= self.stepsize_precision
        is_exhausted &= is_found & (safe.stepsize > 0)
        is_over = tried.num_linesearch_steps >= self.max_linesearch_steps
        return Search(
            point,
            grad,
            tried,
            select(is_found, part, bracket),
            safe,
            safe_grad,
            is_done,
            (is_over | is_exhausted) & ~is_done,
        )

    def _longer(
        self, is_first: jax.Array, last: Point, guess: jax.Array
    ) -> tuple[jax.Array, Any]:
        """The step size that follows while there is no interval; whether the last."""
        longer = jnp.where(is_first, guess, self.increase_factor * last.stepsize)
        if self.max_learning_rate is None:
            return longer, False
        is_longest = longer >= self.max_learning_rate
        return jnp.minimum(longer, self.max_learning_rate), is_longest

    def _judged(self, search: Search, start: Point, point: Point) -> ZoomLinesearchInfo:
        """By how much a point misses each criterion; infinite if it is not finite."""
        decrease = point.value - start.value
        decrease -= self.slope_rtol * point.stepsize * start.slope
        if self.approx_dec_rtol is not None:
            by_slope = point.slope - (2 * self.slope_rtol - 1) * start.slope
            increase = point.value - start.value
            increase -= self.approx_dec_rtol * jnp.abs(start.value)
            decrease = jnp.minimum(jnp.maximum(by_slope, increase), decrease)
        # Where there is no slope at the start, an infinite part of it is none, either.
        bound = jnp.where(start.slope == 0, 0, self.curv_rtol * jnp.abs(start.slope))
        curvature = jnp.abs(point.slope) - bound
        is_finite = jnp.isfinite(point.value) & jnp.isfinite(point.slope)
        return ZoomLinesearchInfo(
            search.info.num_linesearch_steps + 1,
            jnp.where(is_finite, jnp.maximum(decrease, 0), jnp.inf),
            jnp.where(is_finite, jnp.maximum(curvature, 0), jnp.inf),
        )

    def _end(self, search: Search) -> tuple[Point, Updates]:
        """Where the search ends: after a failure at the safe point, if there is one."""
        is_impossible = jnp.isinf(search.info.decrease_error)
        falls_back = search.has_failed & ((search.safe.stepsize > 0) | is_impossible)
        end: tuple[Point, Updates] = select(
            falls_back, (search.safe, search.safe_grad), (search.point, search.grad)
        )
        return end


def _begin(line: Line) -> Search:
    """The search before the first step size is tried."""
    no = jnp.zeros((), bool)
    at_start = Interval(no, line.start, line.start, line.start)
    return Search(
        line.start,
        line.grad,
        _nothing_tried(line.dtype),
        at_start,
        line.start,
        line.grad,
        no,
        no,
    )


def _nothing_tried(dtype: Any) -> ZoomLinesearchInfo:
    return ZoomLinesearchInfo(
        jnp.zeros((), jnp.int32),
        jnp.full((), jnp.inf, dtype),
        jnp.full((), jnp.inf, dtype),
    )


def _error(info: ZoomLinesearchInfo) -> jax.Array:
    return jnp.maximum(info.decrease_error, info.curvature_error)


def scale_by_zoom_linesearch(
    max_linesearch_steps: int,
    max_learning_rate: Numeric | None = None,
    tol: Numeric = 0.0,
    increase_factor: Numeric = 2.0,
    slope_rtol: Numeric = 1e-4,
    curv_rtol: Numeric = 0.9,
    approx_dec_rtol: Numeric | None = 1e-6,
    stepsize_precision: Numeric = 1e-5,
    initial_guess_strategy: str = "keep",
    verbose: bool = False,
) -> GradientTransformation:
    """Scales the updates by a step size at which function and slope have decreased.

    With `phi(eta) = f(p + eta * u)` the step size is to fulfil, each up to `tol`,

        phi(eta)   <= phi(0) + slope_rtol * eta * phi'(0)        decrease
        |phi'(eta)| <= curv_rtol * |phi'(0)|                      curvature

    or, in place of the first, near a minimum where rounding hides the decrease,

        phi'(eta) <= (2 * slope_rtol - 1) * phi'(0)
        phi(eta)  <= phi(0) + approx_dec_rtol * |phi(0)|

    Step sizes grow by `increase_factor` until a good one must lie between two of them;
    then this interval is narrowed by cubic, quadratic or plain bisection. If the search
    fails, the step size of least value that fulfilled the first criterion is taken, or
    else the last one; none where value or slope were not finite.

    `update` needs the keywords `value`, `grad` and `value_fn`, and passes others on, as
    in `scale_by_backtracking_linesearch`. Use `value_and_grad_from_state` to have each
    gradient computed once.

    Args:
        max_linesearch_steps: how many step sizes are tried at most, at least 1.
        max_learning_rate: the longest step size, above 0; None for no bound.
        tol: by how much a criterion may be missed, at least 0.
        increase_factor: from one step size to the next, above 1.
        slope_rtol: the part of the decrease that the slope promises which is demanded,
            in [0, 1).
        curv_rtol: the part of the slope that may be left, at least 0; `math.inf` to do
            without the second criterion.
        approx_dec_rtol: the increase that is let pass near a minimum, as a part of the
            value, at least 0; None to do without the third criterion.
        stepsize_precision: length of the interval at which a step size that fulfils the
            first criterion is taken, at least 0.
        initial_guess_strategy: the step size that is tried first: `"keep"` the last
            search's, or `"one"` 1, as suits Newton's method and L-BFGS.
        verbose: whether to print what was found where a search fails.

    Returns:
        A transformation with `ScaleByZoomLinesearchState(learning_rate, value, grad,
        info)`; its numbers are kept in at least float32.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters, if some of them are masked, or if the value is no scalar.
        TypeError: if one is a schedule or no number; from `update`, without `value`,
            `grad` or `value_fn`.

    Source: Nocedal and Wright 2006, algorithms 3.5 and 3.6; the third criterion is
    Hager and Zhang 2006. Where no step was possible, Optax keeps a step size of 0, and
    with `"keep"` never leaves it again; here the last one tried is kept. For complex
    parameters Optax takes a wrong slope at 0; `grad` is to be what `jax.grad` gives.
    The function is evaluated once per step size under `vmap`, too.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> def f(p):
        ...     return jnp.sum(p**2)
        >>> tx = jl.chain(jl.sgd(1.0), jl.scale_by_zoom_linesearch(15))
        >>> p = jnp.array([1.0, 2.0, 3.0])
        >>> value, grad = jax.value_and_grad(f)(p)
        >>> u, state = tx.update(
        ...     grad, tx.init(p), p, value=value, grad=grad, value_fn=f
        ... )
        >>> f(jl.apply_updates(p, u)), state[1].learning_rate
        (Array(0., dtype=float32), Array(0.5, dtype=float32))
    """
    if initial_guess_strategy not in _GUESSES:
        raise ValueError(
            f"initial_guess_strategy is {initial_guess_strategy!r}; expected one of "
            f"{', '.join(map(repr, _GUESSES))}."
        )
    return checked(
        ScaleByZoomLinesearch(
            max_linesearch_steps,
            max_learning_rate,
            tol,
            increase_factor,
            slope_rtol,
            curv_rtol,
            approx_dec_rtol,
            stepsize_precision,
            initial_guess_strategy,
            bool(verbose),
        )
    )
