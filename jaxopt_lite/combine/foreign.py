"""Transformations of other libraries."""

from typing import Any

from jaxopt_lite.core.transformation import GradientTransformation, as_transformation


def with_extra_args_support(tx: Any) -> GradientTransformation:
    """Lets a transformation be called with extra arguments that it does not know.

    Ours can be as they are; another library's is not given what it does not take.

    Args:
        tx: a transformation.

    Returns:
        `tx`, or a transformation of the same state around it.

    Raises:
        TypeError: if `tx` has no `init` and `update`.

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale(2.0)
        >>> jl.with_extra_args_support(tx) is tx
        True
    """
    return as_transformation(tx, "with_extra_args_support: tx")
