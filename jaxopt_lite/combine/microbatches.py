"""The gradient of a large batch from those of its parts, one after another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lite.core import checks
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.numerics import ratio, real
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree
from jaxopt_lite.core.value import Value, is_array


class Accumulated(Value):
    """A function of parameters and a batch, taken part by part; see `accumulate`."""

    value_and_grad: Callable[..., Any]
    steps: int
    weight: Callable[..., Any] | None = None
    has_aux: bool = False

    def __call__(self, params: Params, *batch: PyTree, **keywords: Any) -> Any:
        """What `value_and_grad` gives of the whole batch."""
        parts = _split(batch, self.steps)

        def of_part(i: Any) -> tuple[Any, Any]:
            found = self.value_and_grad(params, *_part(parts, i), **keywords)
            value, grads = _pair("value_and_grad", found)
            value, aux = _pair("the loss", value) if self.has_aux else (value, None)
            return (_number(value), grads), aux

        def step(mean: PyTree, now: Any) -> tuple[PyTree, PyTree]:
            i, share = now
            new, aux = of_part(i)
            return jax.tree.map(_plus(share), mean, new), aux

        found, _ = jax.eval_shape(of_part, 0)
        begun = jax.tree.map(_zero, found)
        each = (jnp.arange(self.steps), self._shares(parts))
        mean, aux = lax.scan(step, begun, each)
        value, grads = jax.tree.map(lambda x, y: x.astype(y.dtype), mean, found)
        return ((value, aux) if self.has_aux else value), grads

    def _shares(self, parts: Any) -> jax.Array:
        """What each part is to the whole; of weights that are all 0 nothing."""
        if self.weight is None:
            return jnp.full(self.steps, 1 / self.steps)
        weights = jnp.asarray(jax.vmap(self.weight, in_axes=1)(*parts))
        if weights.shape != (self.steps,):
            one = jax.ShapeDtypeStruct(weights.shape[1:], weights.dtype)
            raise ValueError(
                f"accumulate: weight returned {checks.describe(one)}; expected one "
                f"number, such as how many tokens count in a part of the batch."
            )
        weights = weights.astype(jnp.result_type(float))
        return ratio(weights, jnp.sum(weights))


def accumulate(
    value_and_grad: Callable[..., Any],
    steps: int,
    *,
    weight: Callable[..., Any] | None = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """Takes value and gradient of a batch part by part, in the memory of one part.

        value, grads = accumulate(jax.value_and_grad(loss), steps)(params, *batch)

    is `jax.value_and_grad(loss)(params, *batch)` where the loss is a mean over the
    batch: a `scan` goes through `steps` parts and keeps the mean of their values and
    gradients so far. `MultiSteps` does so across calls of a training step; this is one
    call, and one gradient is kept beside that of the part.

    Args:
        value_and_grad: what `jax.value_and_grad` made of a loss, or Equinox's
            `filter_value_and_grad`; of an `nnx` model the loss takes the state that
            `nnx.split` gives.
        steps: how many parts, at least 1.
        weight: from a part of the batch (the arguments behind the parameters) to how
            much it weighs, at least 0, where the loss is a mean over some of its
            elements: the number of tokens that are not padding. A part of weight 0 is
            left out, whatever its loss; if all are, value and gradient are 0.
        has_aux: whether the loss returns a pair, as for `jax.value_and_grad`.

    Returns:
        A function of `(params, *batch, **keywords)`. Every array of the batch is split
        along its first axis; part i is every `steps`-th example from i on, so that
        a batch that is spread over devices is spread in each part. Keywords go to every
        part as they are. The mean is kept in at least float32 and returned in the
        dtypes of the gradients; what the loss returns beside its value comes stacked
        along a new first axis of length `steps`.

    Raises:
        TypeError: if `steps` is no Python integer, or `value_and_grad` or `weight` no
            function; from the function, if what it returned is no value and gradient.
        ValueError: if `steps` is below 1; from the function, if an array has no first
            axis that `steps` divides, all of which are named, or a weight is no number.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> def loss(w, x):
        ...     return jnp.mean((w - x) ** 2)
        >>> w, x = jnp.ones(()), jnp.arange(4.0)
        >>> jl.accumulate(jax.value_and_grad(loss), 2)(w, x)
        (Array(1.5, dtype=float32), Array(-1., dtype=float32))
        >>> jax.value_and_grad(loss)(w, x)
        (Array(1.5, dtype=float32), Array(-1., dtype=float32))
    """
    if is_array(steps):
        raise TypeError(
            f"accumulate: steps is {checks.describe(steps)}; expected an integer, "
            f"as shapes depend on it."
        )
    if not callable(value_and_grad):
        raise TypeError(
            f"accumulate: found {value_and_grad!r}; expected a function, such as "
            f"jax.value_and_grad(loss)."
        )
    if weight is not None and not callable(weight):
        raise TypeError(
            f"accumulate: weight is {checks.describe(weight)}; expected a function of "
            f"a part of the batch, such as one that counts its tokens."
        )
    return Accumulated(
        value_and_grad, fixed_whole_number("steps", steps), weight, has_aux
    )


def _split(batch: PyTree, steps: int) -> PyTree:
    """The batch with a second axis of parts: to make it the first were a copy."""
    flat = Flat(batch)
    problems = [
        (path, checks.describe(x))
        for path, x in zip(flat.paths, flat.leaves, strict=True)
        if not is_end(x) and (np.ndim(x) == 0 or np.shape(x)[0] % steps)
    ]
    if problems:
        checks.fail(
            f"accumulate: {checks.plural(len(problems), 'array', 'arrays')} of the "
            f"batch cannot be split into {steps} parts.",
            problems,
            f"Expected first axes that {steps} divides: change the batch size, or pass "
            f"what is no part of the batch as a keyword.",
            ValueError,
        )

    def split(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        return x.reshape(x.shape[0] // steps, steps, *x.shape[1:])

    return jax.tree.map(split, batch)


def _pair(what: str, found: Any) -> Any:
    """What a function returned, if it is a pair."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        expected = "value and gradient" if what == "value_and_grad" else "value and aux"
        raise TypeError(
            f"accumulate: {what} returned {_shown(found)}; expected a pair of "
            f"{expected}, as of jax.value_and_grad(loss) with the same has_aux."
        )
    return found


def _number(value: Any) -> Any:
    """The value of a loss, if it is one number."""
    if not is_array(value) or jnp.shape(value):
        raise TypeError(
            f"accumulate: the value is {_shown(value)}; expected one number. Where the "
            f"loss returns a pair say has_aux=True here, too."
        )
    return value


def _shown(x: Any) -> str:
    return checks.describe(x) if is_array(x) else checks.article(type(x).__name__)


def _part(parts: PyTree, i: Any) -> PyTree:
    def take(x: jax.Array) -> jax.Array:
        return lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False)

    return jax.tree.map(take, parts)


def _zero(x: Any) -> jax.Array:
    """The mean of nothing, sharded as what is to be averaged."""
    return lax.full(x.shape, 0, arithmetic_dtype(x.dtype), sharding=x.sharding)


def _plus(share: jax.Array) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Adds what a part of the whole contributes to a mean."""

    def add(mean: jax.Array, x: jax.Array) -> jax.Array:
        weighted = share.astype(real(mean.dtype)) * x.astype(mean.dtype)
        return mean + jnp.where(share == 0, 0, weighted)

    return add
