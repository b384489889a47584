"""A tuner of another optimizer's learning rate: Mechanic."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT, abs_sq, inner, ratio, root, squares_in_units
from jaxopt_lite.core.ranges import WHOLE_TREE, Magnitude, Within
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
)
from jaxopt_lite.core.types import (
    Count,
    Exact,
    Hyperparameter,
    Params,
    State,
    Tensor,
    Updates,
)


class MechanicState(NamedTuple):
    """The base optimizer's state; reward, largest product and sum of squares of each
    tuner, its scale, and the start.
    """

    base_optimizer_state: State
    count: Count  # type: ignore[assignment]
    r: jax.Array
    m: jax.Array
    v: jax.Array
    s: jax.Array
    x0: Exact


class TunerState(NamedTuple):
    """The same without that of the base optimizer."""

    count: Count  # type: ignore[assignment]
    r: jax.Array
    m: jax.Array
    v: jax.Array
    s: jax.Array
    x0: Exact


class Start(NamedTuple):
    """The parameter at the first step."""

    x0: Exact


class Tuners(NamedTuple):
    """What the tuners keep, each an array with one number for each."""

    r: Any
    m: Any
    v: Any
    s: Any


class Scales(NamedTuple):
    """The same after this step, and the scales before and after, summed."""

    r: Any
    m: Any
    v: Any
    s: Any
    old: Any
    new: Any


class Tune(SharedRule):
    """The updates of a base optimizer, scaled by what several tuners learn."""

    weight_decay: Annotated[Magnitude, WHOLE_TREE]
    eps: Annotated[Magnitude, WHOLE_TREE]
    s_init: Annotated[Any, Within("(0, inf)"), WHOLE_TREE]
    num_betas: int
    Slots = Start
    State = TunerState
    reads_params = True
    trees = ("base_updates",)

    def init(self, p: Tensor) -> Start:
        return Start(p)

    def begin(self) -> Tuners:
        none = jnp.zeros(self.num_betas)
        return Tuners(none, none, none, none + self.s_init)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, unit: Any
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Were the way the same here, there and in `emit`, XLA would write it to memory.
        x0 = self.start(slots, p, step)
        return inner(g, x0 - p), inner(p, p - x0), squares_in_units(g, unit), sum_sq(p)

    def settle(self, shared: Any, total: Any, step: Any) -> Scales:
        back, outward, squares, p_sq = total
        old = jnp.sum(shared.s)
        pull = self.weight_decay * old * UNIT * root(squares)
        h = back - ratio(pull, root(p_sq) + self.eps) * outward
        h = ratio(h, old + self.eps)
        # Exact, where 1 - 1e-6 in float32 is not.
        lost = 0.1 ** jnp.arange(1, self.num_betas + 1, dtype=h.dtype)
        r = shared.r - lost * shared.r + jnp.clip(h, -shared.m, shared.m) * shared.s
        m = jnp.maximum(shared.m - lost * shared.m, jnp.abs(h) + self.eps)
        v = shared.v - lost * (2 - lost) * shared.v + jnp.square(h)
        wealth = self.s_init / self.num_betas * m + jnp.maximum(r, 0.0)
        s = ratio(wealth, root(v) + self.eps)
        return Scales(r, m, v, s, old, jnp.sum(s))

    def advance(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Start:
        return Start(self.start(slots, p, step))

    def emit(
        self,
        g: Tensor,
        slots: Any,
        p: Tensor,
        step: Any,
        *,
        shared: Any,
        base_updates: Tensor,
    ) -> Tensor:
        back = 1 - ratio(shared.new, shared.old + self.eps)
        moved = jnp.asarray(base_updates, p.dtype)
        twice = 2 * slots.x0 - 2 * p
        return back / 2 * twice + shared.new * moved

    def start(self, slots: Any, p: Tensor, step: Any) -> Tensor:
        """The parameter at the first step: that of `init` may be another."""
        return jnp.where(step == 1, p, slots.x0)


def sum_sq(x: Tensor) -> Tensor:
    """The sum of squares."""
    return jnp.sum(abs_sq(x))


class Mechanize(GradientTransformation):
    """A base optimizer, and tuners of its scale."""

    base_optimizer: GradientTransformation
    tuner: GradientTransformation
    holds = {"base_optimizer": "base_optimizer_state", "tuner": ""}

    def init(self, params: Params) -> State:
        return MechanicState(self.base_optimizer.init(params), *self.tuner.init(params))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("mechanize", state, MechanicState)
        u, base = self.base_optimizer.update(
            updates, state.base_optimizer_state, params, **extra
        )
        own = TunerState(*(getattr(state, name) for name in TunerState._fields))
        u, own = self.tuner.update(updates, own, params, **{**extra, "base_updates": u})
        return u, MechanicState(base, *own)

    def __repr__(self) -> str:
        return f"mechanize({self.base_optimizer!r}, {self.tuner!r})"


def mechanize(
    base_optimizer: Any,
    weight_decay: Hyperparameter = 1e-2,
    eps: Hyperparameter = 1e-8,
    s_init: Hyperparameter = 1e-6,
    num_betas: int = 6,
) -> GradientTransformation:
    """Learns by what number to multiply the updates of another optimizer.

        D  = (p - p0) / (S + eps)                 the base updates so far
        h  = -<D, g + weight_decay * S * ||g|| / (||p|| + eps) * p>
        for each b in 0.9, 0.99, 0.999, …:
            r <- b * r + min(max(h, -m), m) * s
            m <- max(b * m, |h| + eps);  v <- b**2 * v + h**2
            s <- (s_init / num_betas * m + max(r, 0)) / (sqrt(v) + eps)
        p <- p0 + S' * (D + base_update)

    where `S` is the sum of the `s` before, `S'` of those after, and `p0` is where the
    parameters are at the first step. The learning rate of the base optimizer remains as
    a factor: give it 1, or a schedule that peaks at 1.

    Args:
        base_optimizer: a transformation whose updates are to be added.
        weight_decay: how strongly the scale is drawn down, at least 0; not a decay of
            the parameters.
        eps: added to roots and norms, at least 0.
        s_init: the first scale, above 0; better too small than too large.
        num_betas: how many tuners, at least 1.

    Returns:
        A transformation with `MechanicState(base_optimizer_state, count, r, m, v, s,
        x0)`, one slot like the parameter beside those of the base optimizer.

    Raises:
        TypeError: if `base_optimizer` is no transformation, or a number none.
        ValueError: if a number is outside its range; from `update`, without parameters.

    Source: Cutkosky, Defazio and Mehta 2023, arXiv 2306.00144. As in Optax, `h` is
    clipped to the largest so far, which is not in the paper; the paper keeps
    `max(r, 0)`, where here and in Optax a negative `r` is remembered.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.mechanize(jl.sgd(1.0), s_init=0.5)
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([2.0, -4.0]), tx.init(p), p)[0].round(3)
        Array([-1.,  2.], dtype=float32)
    """
    if not isinstance(num_betas, int) or num_betas < 1:
        raise ValueError(
            f"num_betas is {num_betas!r}; expected an integer of at least 1."
        )
    rule = Tune(weight_decay, eps, s_init, num_betas)
    base = as_transformation(base_optimizer, "mechanize: base_optimizer")
    return Mechanize(base, leafwise(rule))
