"""The gradient times an inverse Hessian learnt from past steps: L-BFGS."""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT, inner, root, squares_in_units
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Count, Exact, Tensor

# On accelerators the default rounds the factors of a product to fewer digits.
_EXACT = jax.lax.Precision.HIGHEST
_solve = jax.scipy.linalg.solve_triangular


class ScaleByLBFGSState(NamedTuple):
    """The last parameters and gradients, the last differences of each, their products.

    The pair of differences that the k-th step made stands in place `k % memory_size`,
    k from 0, and its weight is `1 / <diff_updates, diff_params>`, or 0 where the pair
    does not count. `products_memory` holds the inner products of all `diff_params` and,
    behind them, of all `diff_updates` with each of `diff_updates`; those of a pair's
    `diff_params` with what is older are never read, and not kept. Optax has no such
    field; `interop.from_optax` makes it.
    """

    count: Count  # type: ignore[assignment]
    params: Exact
    updates: Exact
    diff_params_memory: Exact
    diff_updates_memory: Exact
    weights_memory: jax.Array
    products_memory: jax.Array


class Memory(NamedTuple):
    """The slots of one leaf: S holds differences of parameters, Y of gradients."""

    params: Exact
    updates: Exact
    diff_params_memory: Exact
    diff_updates_memory: Exact


class Products(NamedTuple):
    """Inner products of S and of Y, in two rows, with the newest y and the gradient."""

    with_y: jax.Array
    with_g: jax.Array
    squares: jax.Array


class Kept(NamedTuple):
    """The shared numbers that are kept."""

    weights_memory: jax.Array
    products_memory: jax.Array


class Combination(NamedTuple):
    """The direction as a combination, and whether the newest pair is kept."""

    weights_memory: jax.Array
    products_memory: jax.Array
    is_kept: jax.Array
    gamma: jax.Array
    of_diff_params: jax.Array
    of_diff_updates: jax.Array


class ScaleByLBFGS(SharedRule):
    """L-BFGS.

    The two-loop recursion needs inner products only. Those of the older pairs are kept,
    so the leaves measure what is new, all at once, and the recursion runs on small
    matrices: one sum over the leaves takes the place of twenty.
    """

    memory_size: int
    scale_init_precond: bool
    Slots = Memory
    State = ScaleByLBFGSState
    reads_step = True
    reads_params = True
    mixes = True

    def init(self, p: Tensor) -> Memory:
        # Made of `p`, each is split between devices as that is.
        many = jnp.zeros_like(jnp.broadcast_to(p, (self.memory_size, *p.shape)))
        return Memory(jnp.zeros_like(p), jnp.zeros_like(p), many, jnp.zeros_like(many))

    def begin(self) -> Kept:
        m = self.memory_size
        return Kept(jnp.zeros(m), jnp.zeros((2, m, m)))

    def measure(self, g: Tensor, slots: Any, p: Any, step: Any, *, unit: Any) -> Any:
        s, y = p - slots.params, g - slots.updates

        def products(x: Tensor) -> jax.Array:
            # The memory is read as it lies: with the newest pair in its place it would
            # be another one.
            pairs = ((slots.diff_params_memory, s), (slots.diff_updates_memory, y))
            rows = [
                _products(memory, x).at[self._place(step)].set(inner(new, x))
                for memory, new in pairs
            ]
            return jnp.stack(rows)

        return Products(products(y), products(g), squares_in_units(g, unit))

    def settle(self, shared: Any, total: Products, step: Any) -> Combination:
        place = self._place(step)
        curvature, square = total.with_y[:, place]
        weight, scale = 1 / curvature, curvature / square
        # All products are asked, so that none is formed after the newest pair has its
        # place in the memory: XLA would copy the memory before.
        products = total.with_y + total.with_g
        numbers = jnp.append(products, jnp.stack([weight, scale]))
        is_kept = (step > 1) & (curvature > 0) & jnp.isfinite(numbers).all()
        weights = shared.weights_memory.at[place].set(jnp.where(is_kept, weight, 0))
        newest = jnp.where(is_kept, total.with_y, 0)
        products = shared.products_memory.at[:, :, place].set(newest)
        products = products.at[1, place].set(newest[1])
        by_age = (place + 1 + jnp.arange(self.memory_size)) % self.memory_size
        counts = weights[by_age] > 0
        sy, yy = products[:, by_age[:, None], by_age]
        gamma = self._gamma(counts, jnp.diag(sy), jnp.diag(yy), total.squares)
        of_s, of_y = (
            jnp.zeros_like(x).at[by_age].set(x)
            for x in _two_loops(counts, gamma, sy, yy, *total.with_g[:, by_age])
        )
        return Combination(weights, products, is_kept, gamma, of_s, of_y)

    def advance(
        self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any
    ) -> Memory:
        s, y = (
            jax.lax.dynamic_update_index_in_dim(
                memory, jnp.where(shared.is_kept, new, 0), self._place(step), axis=0
            )
            for memory, new in (
                (slots.diff_params_memory, p - slots.params),
                (slots.diff_updates_memory, g - slots.updates),
            )
        )
        return Memory(p, g, s, y)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Tensor:
        return (
            shared.gamma * g
            + _combined(shared.of_diff_params, slots.diff_params_memory)
            + _combined(shared.of_diff_updates, slots.diff_updates_memory)
        )

    def _gamma(
        self, counts: jax.Array, sy: jax.Array, yy: jax.Array, squares: jax.Array
    ) -> Any:
        """The multiple of the identity that stands for what is not in the memory."""
        if not self.scale_init_precond:
            return jnp.ones((), sy.dtype)
        newest = self.memory_size - 1 - jnp.argmax(counts[::-1])
        norm = UNIT * root(squares)
        learnt = sy[newest] / yy[newest]
        return jnp.where(counts.any(), learnt, 1 / jnp.maximum(norm, 1))

    def _place(self, step: Any) -> jax.Array:
        """Where the pair of differences that the last step made is kept."""
        return jnp.int32((step - 2) % self.memory_size)


def _two_loops(
    counts: jax.Array,
    gamma: jax.Array,
    sy: jax.Array,
    yy: jax.Array,
    sg: jax.Array,
    yg: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The weights of S and Y in the direction that the two-loop recursion gives.

    With R the upper triangle of <s_i, y_j>, oldest pair first, and D its diagonal, the
    first loop solves `R alpha = S g`, the second `R' c = D alpha - gamma Y (g - Y'
    alpha)`; the direction is `gamma (g - Y' alpha) + S' c`.
    """
    both = counts[:, None] & counts
    r = jnp.triu(jnp.where(both, sy, jnp.eye(len(counts))))
    yy = jnp.where(both, yy, 0)
    sg, yg = (jnp.where(counts, x, 0) for x in (sg, yg))
    alpha = _solve(r, sg)
    rest = yg - jnp.matmul(yy, alpha, precision=_EXACT)
    c = _solve(r, jnp.diag(r) * alpha - gamma * rest, trans=1)
    return c, -gamma * alpha


@jax.jit
def products_of_pairs(s: Tensor, y: Tensor) -> jax.Array:
    """What a leaf contributes to the `products_memory` that belongs to its memories."""
    of = [jax.lax.map(functools.partial(_products, memory), y).T for memory in (s, y)]
    return jnp.stack(of)


def _products(memory: Tensor, x: Tensor) -> jax.Array:
    """The inner product of each of the arrays in a memory with `x`."""
    return jnp.tensordot(jnp.conj(memory), x, x.ndim, precision=_EXACT).real


def _combined(weights: jax.Array, x: Tensor) -> Tensor:
    """The sum of the arrays in `x`, each with its weight."""
    # One by one: for a product of matrices XLA would copy them to another layout.
    return functools.reduce(
        operator.add, [w * y for w, y in zip(weights, x, strict=True)]
    )


def scale_by_lbfgs(
    memory_size: int = 10, scale_init_precond: bool = True
) -> GradientTransformation:
    """Multiplies the gradient by an inverse Hessian learnt from past steps.

        s_k = p_k+1 - p_k,  y_k = g_k+1 - g_k
        u   = H g,  H the BFGS inverse Hessian of the last memory_size pairs (s, y)

    starting from `gamma` times the identity, `gamma = <s, y> / <y, y>` of the newest
    pair taken, and `min(1, 1 / |g|)` while there is none. The update is to be scaled by
    -1, and by a step size that a line search finds, as in `lbfgs`. The parameters
    passed must be those at which the gradient was taken.

    Args:
        memory_size: how many pairs to keep, at least 1; each is as large as the
            parameters twice.
        scale_init_precond: whether to use `gamma`, else 1.

    Returns:
        A transformation with `ScaleByLBFGSState(count, params, updates,
        diff_params_memory, diff_updates_memory, weights_memory, products_memory)`. The
        memories of differences hold arrays of shape `(memory_size, *shape)`, in at
        least float32; that of their inner products, which Optax does not keep, is of
        shape `(2, memory_size, memory_size)`.

    Raises:
        ValueError: if `memory_size` is less than 1; from `update`, without parameters.
        TypeError: if `memory_size` is no integer.

    Source: Nocedal 1980; Liu and Nocedal 1989; the recursion in inner products alone
    is Byrd, Nocedal and Schnabel 1994. A pair whose `<s, y>` is not positive and finite
    is left out; Optax takes it and may then step uphill. Unlike `torch.optim.LBFGS`,
    the first step is as long as `1 / |g|` in the Euclidean norm, not in the sum of
    magnitudes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_lbfgs()
        >>> curvature, p = jnp.array([1.0, 4.0]), jnp.array([1.0, 1.0])
        >>> state = tx.init(p)
        >>> for _ in range(8):
        ...     u, state = tx.update(curvature * p, state, p)
        ...     p = p - u
        >>> bool(jnp.all(jnp.abs(p) < 1e-6))
        True
    """
    try:
        size = operator.index(memory_size)
    except TypeError:
        raise TypeError(
            f"memory_size is {memory_size!r}, a {type(memory_size).__name__}; expected "
            f"an integer: it is the shape of the state, which cannot be traced."
        ) from None
    if size < 1:
        raise ValueError(f"memory_size is {size}; expected at least 1.")
    return leafwise(ScaleByLBFGS(size, bool(scale_init_precond)))
