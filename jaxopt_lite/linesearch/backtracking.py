"""A step size found by going back until the function has decreased enough."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.kernel import with_numbers
from jaxopt_lite.core.ranges import FIXED, Bound, Magnitude, Steps, Within, checked
from jaxopt_lite.core.transformation import GradientTransformation, select
from jaxopt_lite.core.types import Numeric, Params, State, Updates
from jaxopt_lite.linesearch.line import Line, branch, loop, number_dtype, report_failure
from jaxopt_lite.tree import where, zeros_like

_NAME = "scale_by_backtracking_linesearch"


class BacktrackingLinesearchInfo(NamedTuple):
    """How many step sizes were tried, and by how much the decrease falls short."""

    num_linesearch_steps: jax.Array
    decrease_error: jax.Array


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """The last step size, and value and gradient after the step.

    If no step was possible, the step size is the last that was tried. The value is
    infinite before the first step. The gradient is None unless it is to be stored.
    """

    learning_rate: jax.Array
    value: jax.Array
    grad: Updates | None
    info: BacktrackingLinesearchInfo


class Trial(NamedTuple):
    """The step size tried last, and what came of it."""

    stepsize: jax.Array
    value: jax.Array
    grad: Updates | None
    decrease_error: jax.Array
    count: jax.Array  # type: ignore[assignment]


class ScaleByBacktrackingLinesearch(GradientTransformation):
    """Updates, scaled by a step size that makes the function decrease."""

    max_backtracking_steps: Annotated[Steps, FIXED]
    slope_rtol: Annotated[Any, Within("[0, 1)"), FIXED]
    decrease_factor: Annotated[Any, Within("(0, 1)"), FIXED]
    increase_factor: Annotated[Bound, FIXED]
    max_learning_rate: Annotated[Any, Within("(0, inf]"), FIXED]
    atol: Annotated[Magnitude, FIXED]
    rtol: Annotated[Magnitude, FIXED]
    store_grad: bool
    verbose: bool

    def init(self, params: Params) -> State:
        dtype = number_dtype(params)
        return ScaleByBacktrackingLinesearchState(
            learning_rate=jnp.ones((), dtype),
            value=jnp.full((), jnp.inf, dtype),
            grad=zeros_like(params) if self.store_grad else None,
            info=BacktrackingLinesearchInfo(
                jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, dtype)
            ),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        line = Line(_NAME, updates, params, extra)
        checks.named_tuple(_NAME, state, ScaleByBacktrackingLinesearchState)
        found = with_numbers(self, line.dtype).search(line, state.learning_rate)
        is_possible = jnp.isfinite(found.decrease_error)
        new = ScaleByBacktrackingLinesearchState(
            jnp.where(line.is_sound, found.stepsize, state.learning_rate),
            jnp.where(is_possible, found.value, line.start.value),
            where(is_possible, found.grad, line.grad) if self.store_grad else None,
            BacktrackingLinesearchInfo(found.count, found.decrease_error),
        )
        if self.verbose:
            known = {"stepsize": found.stepsize, **new.info._asdict()}
            fails = found.decrease_error > self.atol
            report_failure(_NAME, line.start, known, fails)
        step = line.step(jnp.where(is_possible, found.stepsize, 0))
        return step, select(extra.get("commit"), new, state)

    def search(self, line: Line, last: jax.Array) -> Trial:
        """Goes back from a step somewhat longer than the last."""

        def goes_on(trial: Trial) -> jax.Array:
            is_left = trial.count <= self.max_backtracking_steps
            return line.is_sound & ~(trial.decrease_error <= self.atol) & is_left

        def shorten(trial: Trial) -> Trial:
            stepsize = jnp.where(
                trial.count > 0, self.decrease_factor * trial.stepsize, trial.stepsize
            )
            value, gradient = line.value_and_pullback(stepsize)
            error = self._decrease_error(line, stepsize, value)
            grad = None
            if self.store_grad:
                is_left = trial.count < self.max_backtracking_steps
                is_last = (error <= self.atol) | ~is_left
                grad = branch(is_last, gradient, lambda: trial.grad)
            return Trial(stepsize, value, grad, error, trial.count + 1)

        longer = jnp.minimum(self.increase_factor * last, self.max_learning_rate)
        # Zero, which is in no state of this transformation, would stay zero for ever.
        guess = jnp.where(last > 0, longer, self.max_learning_rate)
        first = Trial(
            guess.astype(line.dtype),
            line.start.value,
            line.grad if self.store_grad else None,
            jnp.full((), jnp.inf, line.dtype),
            jnp.zeros((), jnp.int32),
        )
        return loop(goes_on, shorten, first)

    def _decrease_error(
        self, line: Line, stepsize: jax.Array, value: jax.Array
    ) -> jax.Array:
        """By how much the value is too large; infinite where it is not finite."""
        increase = value - (1 + self.rtol) * line.start.value
        error = jnp.maximum(increase - stepsize * self.slope_rtol * line.start.slope, 0)
        return jnp.where(jnp.isfinite(value), error, jnp.inf)


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int,
    slope_rtol: Numeric = 1e-4,
    decrease_factor: Numeric = 0.8,
    increase_factor: Numeric = 1.5,
    max_learning_rate: Numeric = 1.0,
    atol: Numeric = 0.0,
    rtol: Numeric = 0.0,
    store_grad: bool = False,
    verbose: bool = False,
) -> GradientTransformation:
    """Scales the updates by a step size that makes the function decrease enough.

        f(p + eta * u) <= (1 + rtol) * f(p) + slope_rtol * eta * <u, grad f(p)> + atol

    The search begins at `eta = min(increase_factor * last, max_learning_rate)` and
    multiplies it by `decrease_factor` until this holds, where a value that is nan or
    infinite never does. It needs a direction of descent, such as that of `sgd(1.0)`; if
    the steps are used up it takes the shortest, and if no value was finite, none.

    `update` needs the keywords `value` and `grad`, as `jax.value_and_grad` gives them,
    and `value_fn`, the function of the parameters that returns the value. Other
    keywords that `value_fn` takes are passed to it, such as a batch.

    Args:
        max_backtracking_steps: how often the step size may be decreased, at least 1.
        slope_rtol: the part of the decrease that the slope promises which is demanded,
            in [0, 1).
        decrease_factor: from one step size to the next, in (0, 1).
        increase_factor: from the last search's step size to the first of this, at
            least 0; `math.inf` to begin with `max_learning_rate`.
        max_learning_rate: the longest step size, above 0.
        atol: an increase of the value that is let pass, at least 0.
        rtol: such an increase, as a part of the value, at least 0.
        store_grad: whether the state keeps the gradient after the step, for
            `value_and_grad_from_state`.
        verbose: whether to print what was found where a search fails.

    Returns:
        A transformation with `ScaleByBacktrackingLinesearchState(learning_rate, value,
        grad, info)`; its numbers are kept in at least float32.

    Raises:
        ValueError: if a number is outside its range; from `update`, without parameters,
            if some of them are masked, or if the value is no scalar.
        TypeError: if one is a schedule or no number; from `update`, without `value`,
            `grad` or `value_fn`.

    Source: Armijo 1966; Vaswani et al. 2019, arXiv 1905.09997. Where no value was
    finite, Optax keeps a step size of 0 and never leaves it again; here the next search
    goes on from the last one tried. Optax refuses keywords that `value_fn` does not
    take. Outside of `jit` the search is a Python loop, which Optax compiles anew at
    every step.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> def f(p):
        ...     return jnp.sum(p**2)
        >>> tx = jl.chain(jl.sgd(1.0), jl.scale_by_backtracking_linesearch(15))
        >>> p = jnp.array([1.0, 2.0, 3.0])
        >>> state = tx.init(p)
        >>> for _ in range(5):
        ...     value, grad = jax.value_and_grad(f)(p)
        ...     u, state = tx.update(
        ...         grad, state, p, value=value, grad=grad, value_fn=f
        ...     )
        ...     p = jl.apply_updates(p, u)
        >>> f(p).round(4)
        Array(0.0847, dtype=float32)
    """
    return checked(
        ScaleByBacktrackingLinesearch(
            max_backtracking_steps,
            slope_rtol,
            decrease_factor,
            increase_factor,
            max_learning_rate,
            atol,
            rtol,
            bool(store_grad),
            bool(verbose),
        )
    )
