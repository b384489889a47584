"""Step sizes of the distance from the start over the gradients: DoG and DoWG."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.numerics import abs_sq, ratio, root
from jaxopt_lite.core.ranges import WHOLE_TREE, Magnitude
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Exact, Hyperparameter, Tensor


class DoGState(NamedTuple):
    """Whether no step was taken yet, the start, and what the step size comes from."""

    is_init_step: jax.Array
    init_params: Exact
    max_dist: jax.Array
    sum_sq_norm_grads: jax.Array


class Start(NamedTuple):
    """The parameter before the first step."""

    init_params: Exact


class Distance(NamedTuple):
    """What DoG keeps from step to step."""

    is_init_step: Any
    max_dist: Any
    sum_sq_norm_grads: Any


class Step(NamedTuple):
    """The same after this step, and the step size."""

    is_init_step: Any
    max_dist: Any
    sum_sq_norm_grads: Any
    rate: Any


KINDS = ("distance", "learning_rate", "heuristic")


class ScaleByDoG(SharedRule):
    """Distance over gradients; `kind` says what `init_step` is the size of."""

    kind: str
    init_step: Annotated[Magnitude, WHOLE_TREE]
    eps: Annotated[Magnitude, WHOLE_TREE]
    Slots = Start
    State = DoGState
    reads_params = True

    def init(self, p: Tensor) -> Start:
        return Start(p)

    def measure_init(self, p: Tensor) -> Tensor:
        return sum_sq(p)

    def begin(self, start: Any = 0.0) -> Distance:
        if self.kind == "learning_rate":
            return Distance(True, 0.0, 0.0)
        unit = 1 + root(start) if self.kind == "heuristic" else 1.0
        return Distance(True, self.init_step * unit, 0.0)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any
    ) -> tuple[Tensor, Tensor]:
        return sum_sq(p - slots.init_params), sum_sq(g)

    def settle(self, shared: Any, total: Any, step: Any) -> Step:
        moved, size = total
        dist = jnp.maximum(shared.max_dist, root(moved))
        grads = shared.sum_sq_norm_grads + size
        rate = ratio(dist, root(grads + self.eps))
        if self.kind == "learning_rate":
            rate = jnp.where(dist == 0, self.init_step, rate)
        return Step(False, dist, grads, rate)

    def emit(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> Tensor:
        return g * shared.rate


def scale_by_dog(
    init_step: tuple[str, Hyperparameter], eps: Hyperparameter = 1e-8
) -> GradientTransformation:
    """Multiplies gradients by the distance from the start over their norms so far.

        r = max over steps of ||p - p0||
        u = g * r / sqrt(sum over steps of ||g||**2 + eps)

    with the norms of the whole tree.

    Args:
        init_step: how the first step is found, a pair of a word and a number of at
            least 0: `("distance", r)` takes `r` for the first distance,
            `("heuristic", x)` takes `x * (1 + ||p0||)`, and `("learning_rate", x)`
            multiplies by `x` until the parameters have moved.
        eps: added under the root, at least 0.

    Returns:
        A transformation with `DoGState(is_init_step, init_params, max_dist,
        sum_sq_norm_grads)`, one slot like the parameter. `p0` is what `init` sees.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if a number is `by_path`, or no number, array or schedule.

    Source: Ivgi, Hinder and Carmon 2023, arXiv 2302.12022; they recommend to average
    the parameters. The numbers are at least float32; Optax's are the parameters' own
    dtype, and in bfloat16 the sum of squares stops growing. Optax uses the first
    `learning_rate` for one step only, and stays where it is for good if that step does
    not move the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_dog(("distance", 0.5), eps=0.0)
        >>> p = {"a": jnp.array(1.0), "b": jnp.array(1.0)}
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> tx.update(g, tx.init(p), p)[0]
        {'a': Array(0.3, dtype=float32), 'b': Array(0.4, dtype=float32)}
    """
    kind, first = _pair(init_step)
    return leafwise(ScaleByDoG(kind, first, eps))


def _pair(init_step: Any) -> tuple[str, Any]:
    """The word and the number of an `init_step`."""
    is_pair = isinstance(init_step, tuple | list) and len(init_step) == 2
    if not is_pair or not isinstance(init_step[0], str) or init_step[0] not in KINDS:
        raise ValueError(
            f"init_step is {init_step!r}; expected a pair of one of "
            f"{', '.join(map(repr, KINDS))} and a number, such as ('heuristic', 1e-6)."
        )
    return init_step[0], init_step[1]


class DoWGState(NamedTuple):
    """The start, the weighted sum of squared gradients, and the squared distance."""

    init_params: Exact
    weighted_sq_norm_grads: jax.Array
    estim_sq_dist: jax.Array


class SquaredDistance(NamedTuple):
    """What DoWG keeps from step to step."""

    weighted_sq_norm_grads: Any
    estim_sq_dist: Any


class WeightedStep(NamedTuple):
    """The same after this step, and the step size."""

    weighted_sq_norm_grads: Any
    estim_sq_dist: Any
    rate: Any


class ScaleByDoWG(SharedRule):
    """Distance over weighted gradients."""

    init_estim_sq_dist: Annotated[Magnitude, WHOLE_TREE]
    eps: Annotated[Magnitude, WHOLE_TREE]
    Slots = Start
    State = DoWGState
    reads_params = True

    def init(self, p: Tensor) -> Start:
        return Start(p)

    def begin(self) -> SquaredDistance:
        return SquaredDistance(0.0, self.init_estim_sq_dist)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any
    ) -> tuple[Tensor, Tensor]:
        return sum_sq(p - slots.init_params), sum_sq(g)

    def settle(self, shared: Any, total: Any, step: Any) -> WeightedStep:
        moved, size = total
        dist = jnp.maximum(shared.estim_sq_dist, moved)
        grads = shared.weighted_sq_norm_grads + dist * size
        rate = ratio(dist, root(grads) + self.eps)
        return WeightedStep(grads, dist, rate)

    def emit(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> Tensor:
        return g * shared.rate


def scale_by_dowg(
    init_estim_sq_dist: Hyperparameter | None = None, eps: Hyperparameter = 1e-4
) -> GradientTransformation:
    """Multiplies gradients by the distance from the start over their weighted norms.

        r2 = max over steps of ||p - p0||**2
        u  = g * r2 / (sqrt(sum over steps of r2 * ||g||**2) + eps)

    with the norms of the whole tree; each gradient is weighted with the distance of
    its own step.

    Args:
        init_estim_sq_dist: the squared distance before the first step, at least 0; if
            None, `eps`.
        eps: added to the root, at least 0.

    Returns:
        A transformation with `DoWGState(init_params, weighted_sq_norm_grads,
        estim_sq_dist)`, one slot like the parameter.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters.
        TypeError: if one is `by_path`, or no number, array or schedule.

    Source: Khaled, Mishchenko and Jin 2023, arXiv 2305.16284. The numbers are at least
    float32.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_dowg(0.25, eps=0.0)
        >>> p = {"a": jnp.array(1.0), "b": jnp.array(1.0)}
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> tx.update(g, tx.init(p), p)[0]
        {'a': Array(0.3, dtype=float32), 'b': Array(0.4, dtype=float32)}
    """
    if init_estim_sq_dist is None:
        with called(init_estim_sq_dist="eps"):
            return leafwise(ScaleByDoWG(eps, eps))
    return leafwise(ScaleByDoWG(init_estim_sq_dist, eps))


def sum_sq(x: Tensor) -> Tensor:
    """The sum of squares."""
    return jnp.sum(abs_sq(x))
