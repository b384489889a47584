"""Learning rates from the distance moved: layer-wise DoG."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import ratio, real, root
from jaxopt_lite.core.ranges import FiniteNumber, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Exact, Hyperparameter, Tensor
from jaxopt_lite.rules.norms import norm, sum_of_squares


class ScaleByDistanceOverGradientsState(NamedTuple):
    """For each array its longest way, the sum of squared gradients, and its start."""

    max_dist: Exact
    grad_sum_of_squares: Exact
    init_params: Exact


class ScaleByDistanceOverGradients(Rule):
    """Layer-wise DoG."""

    reps_rel: Magnitude
    eps: Magnitude
    global_scale: FiniteNumber
    Slots = ScaleByDistanceOverGradientsState
    reads_params = True

    def init(self, p: Tensor) -> ScaleByDistanceOverGradientsState:
        # The sum has an axis of length 1 in Optax, and so in its checkpoints.
        total = jnp.zeros(1, real(p.dtype))
        return ScaleByDistanceOverGradientsState(
            self.reps_rel * (1 + norm(p)), total, p
        )

    def advance(
        self, g: Tensor, slots: Any, p: Tensor, step: Any
    ) -> ScaleByDistanceOverGradientsState:
        return ScaleByDistanceOverGradientsState(
            jnp.maximum(slots.max_dist, norm(p - slots.init_params)),
            slots.grad_sum_of_squares + sum_of_squares(g),
            slots.init_params,
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        size = root(slots.grad_sum_of_squares[0] + self.eps)
        return g * (self.global_scale * ratio(slots.max_dist, size))


def scale_by_distance_over_gradients(
    reps_rel: Hyperparameter = 1e-6,
    eps: Hyperparameter = 1e-8,
    param_dtype: DTypeLike = jnp.float32,
    global_scale: Hyperparameter = 1.0,
) -> GradientTransformation:
    """Scales each gradient by the longest way of its parameter over past gradients.

        max_dist            <- max(max_dist, |p - init_params|)
        grad_sum_of_squares <- grad_sum_of_squares + |g|**2
        u = g * global_scale * max_dist / sqrt(grad_sum_of_squares + eps)

    with Euclidean norms of whole arrays; `init_params` are the parameters that `init`
    saw, and `max_dist` begins at `reps_rel * (1 + |init_params|)`.

    Args:
        reps_rel: length of the first step relative to the parameter, at least 0; the
            authors recommend 1e-4 with batch normalization, 1e-6 without.
        eps: added under the root, at least 0.
        param_dtype: dtype in which `init_params` is kept; float32 stands for that of
            the arithmetic, at least float32.
        global_scale: factor of all updates, finite: -1 to step downhill.

    Returns:
        A transformation with `ScaleByDistanceOverGradientsState(max_dist,
        grad_sum_of_squares, init_params)`: two numbers for each parameter, and a copy
        of it.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`, or `param_dtype`
            no floating-point dtype.

    Source: Ivgi, Hinder and Carmon 2023, arXiv 2302.12022, as L-DoG. The authors
    recommend to average the parameters. Optax gives the updates of scalars an axis.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_distance_over_gradients(reps_rel=0.1)
        >>> p = jnp.zeros(2)
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0]
        Array([0.06, 0.08], dtype=float32)
    """
    kept = None if jnp.dtype(param_dtype) == jnp.float32 else param_dtype
    return leafwise(
        ScaleByDistanceOverGradients(reps_rel, eps, global_scale),
        keep(init_params=kept),
    )
