"""L-BFGS with a line search."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.linesearch.zoom import scale_by_zoom_linesearch
from jaxopt_lite.rules.lbfgs import scale_by_lbfgs
from jaxopt_lite.rules.scaling import scale, scale_by_learning_rate

_ZOOM = scale_by_zoom_linesearch(20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: Hyperparameter | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: Any = _ZOOM,
) -> GradientTransformation:
    """Steps by an inverse Hessian learnt from past steps, as far as a search finds.

        p <- p - eta * H g

    with `H` of `scale_by_lbfgs` and `eta` of the line search. It is made for functions
    that are not random: of a batch, gradients at two points differ by more than their
    distance explains. `update` needs the keywords `value`, `grad` and `value_fn` as in
    `scale_by_zoom_linesearch`, if there is a line search.

    Args:
        learning_rate: multiplies the direction, at least 0: a number, an array, a
            schedule or `by_path`; None for 1.
        memory_size: how many pairs of differences to keep, at least 1.
        scale_init_precond: whether to begin with a scaled identity.
        linesearch: a transformation that scales the direction, by default
            `scale_by_zoom_linesearch(20, initial_guess_strategy="one")`; None for none.

    Returns:
        `chain(scale_by_lbfgs(…), scale(-1) or scale_by_learning_rate(learning_rate),
        linesearch or identity())`.

    Raises:
        ValueError: if a number is outside its range.
        TypeError: if an argument is of no such kind.

    Source: Liu and Nocedal 1989; departures as in `scale_by_lbfgs` and
    `scale_by_zoom_linesearch`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> def rosenbrock(p):
        ...     return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        >>> tx = jl.lbfgs()
        >>> def step(carry, _):
        ...     p, state = carry
        ...     value, grad = jl.value_and_grad_from_state(rosenbrock)(p, state=state)
        ...     u, state = tx.update(
        ...         grad, state, p, value=value, grad=grad, value_fn=rosenbrock
        ...     )
        ...     return (jl.apply_updates(p, u), state), value
        >>> p = jnp.array([-1.2, 1.0])
        >>> (p, _), values = jax.lax.scan(step, (p, tx.init(p)), length=40)
        >>> p.round(3)
        Array([1., 1.], dtype=float32)
    """
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate),
        identity() if linesearch is None else linesearch,
    )
