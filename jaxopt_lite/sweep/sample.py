"""Spaces drawn at random, or evenly spread."""

from typing import Any

import jax
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.value import short_repr
from jaxopt_lite.sweep.arguments import check_key, whole
from jaxopt_lite.sweep.distributions import Distribution
from jaxopt_lite.sweep.space import Space


def sample(key: jax.Array, n: int, /, **distributions: Distribution) -> Space:
    """Configurations drawn at random, each axis for itself.

    Args:
        key: a key of `jax.random`; the same one draws the same.
        n: how many configurations, from 1.
        **distributions: `log_uniform`, `uniform`, `integers` or `choice` for each axis.

    Returns:
        A `Space`; the axes of `log_uniform` are logarithmic.

    Raises:
        TypeError: if an axis has no distribution.
        ValueError: if there is no axis, or no configuration.

    Example:
        >>> import jax
        >>> from jaxopt_lite import sweep
        >>> space = sweep.sample(
        ...     jax.random.key(0),
        ...     16,
        ...     learning_rate=sweep.log_uniform(1e-4, 1e-1),
        ...     optimizer=sweep.choice(["adam", "sgd"]),
        ... )
        >>> len(space), space.axis("learning_rate").is_logarithmic
        (16, True)
    """
    n = _check("sample", key, n, distributions)
    return _draw(
        np.asarray(jax.random.uniform(key, (n, len(distributions)))), distributions
    )


def sobol(key: jax.Array, n: int, /, **distributions: Distribution) -> Space:
    """Configurations spread evenly over all axes: a scrambled Sobol sequence.

    Any two of its points lie apart in some axis, so it sees more of a space than as
    many random ones; most evenly where `n` is a power of 2. Needs scipy.

    Args:
        key: a key of `jax.random`, which scrambles the sequence.
        n: how many configurations, from 1.
        **distributions: as for `sample`.

    Returns:
        A `Space`, as `sample` does.

    Raises:
        ImportError: if scipy is not installed.
        TypeError: if an axis has no distribution.
        ValueError: if there is no axis, or no configuration.

    Source: Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points".

    Example:
        >>> import jax
        >>> from jaxopt_lite import sweep
        >>> space = sweep.sobol(jax.random.key(0), 8, b1=sweep.uniform(0.0, 0.8))
        >>> sorted(int(10 * b1) for b1 in space.column("b1"))
        [0, 1, 2, 3, 4, 5, 6, 7]
    """
    n = _check("sobol", key, n, distributions)
    try:
        from scipy.stats import qmc
    except ImportError as error:
        raise ImportError(
            "sobol: scipy is not installed; it gives the Sobol points. Install it "
            "(pip install scipy), or take `sample`."
        ) from error
    seed = np.asarray(jax.random.bits(key, (4,), "uint32"))
    sequence = qmc.Sobol(len(distributions), seed=np.random.default_rng(seed))
    return _draw(sequence.random_base2((n - 1).bit_length())[:n], distributions)


def _check(where: str, key: Any, n: Any, distributions: dict[str, Any]) -> int:
    """The number of configurations, once the arguments are known to be of use."""
    check_key(where, key)
    if not distributions:
        raise ValueError(
            f"{where}: found no axis; expected at least one, such as "
            f"learning_rate=log_uniform(1e-4, 1e-1)."
        )
    wrong = [
        (name, short_repr(x))
        for name, x in distributions.items()
        if not isinstance(x, Distribution)
    ]
    if wrong:
        checks.fail(
            f"{where}: {checks.plural(len(wrong), 'axis has', 'axes have')} no "
            f"distribution.",
            wrong,
            "Expected log_uniform, uniform, integers or choice; `grid` takes lists.",
            TypeError,
        )
    return whole(where, "n", n, 1)


def _draw(points: np.ndarray, distributions: dict[str, Distribution]) -> Space:
    """The configurations at points of the unit cube."""
    columns = points.astype(np.float64).T
    drawn = [
        distribution.draw(name, u)
        for (name, distribution), u in zip(distributions.items(), columns, strict=True)
    ]
    rows = zip(*(levels for _, levels in drawn), strict=True)
    return Space(tuple(axis for axis, _ in drawn), tuple(rows))
