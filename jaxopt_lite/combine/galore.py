"""An optimizer that sees each matrix in the space of its gradient's main directions."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.gate import both, steps_at
from jaxopt_lite.combine.low_rank import View
from jaxopt_lite.core import checks
from jaxopt_lite.core.hyperparameters import at_count
from jaxopt_lite.core.matrices import Axes, MatrixAxes, matrix_axes
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.placement import as_it_lies, types_of_split, unseen_update
from jaxopt_lite.core.ranges import WHOLE_TREE, FiniteNumber, Steps, checked
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Hyperparameter, Params, PyTree, State, Updates
from jaxopt_lite.rules.adam import scale_by_adam


class GaLoreDimensionNumbers(NamedTuple):
    """Which axes of a parameter are the rows and columns of a matrix.

    The axes that neither names count matrices: each has directions of its own.
    """

    reduction_axis: Sequence[int] | int = 0
    output_axis: Sequence[int] | int = 1


class GaLoreState(NamedTuple):
    """How many gradients were seen, the base's state, and the directions it sees."""

    count: Count  # type: ignore[assignment]
    base_optimizer_state: State
    projector: PyTree


class GaLore(GradientTransformation):
    """A transformation of gradients of low rank."""

    rank: int
    update_proj_gap: Steps
    scale: Annotated[FiniteNumber, WHOLE_TREE]
    base: GradientTransformation
    axes: MatrixAxes
    holds = {"base": "base_optimizer_state"}

    def init(self, params: Params) -> State:
        p = Flat(params)
        self.axes.judge("galore", p)
        _check_inexact("parameter", p)
        views = [View(x, axes, self.rank) for x, axes in self._leaves(p)]
        begun = [view.begin() for view in views]
        low = _rebuild(p, views, [x for x, _ in begun])
        bases = p.rebuild_bare(basis for _, basis in begun)
        return GaLoreState(jnp.zeros((), jnp.int32), self.base.init(low), bases)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("galore", state, GaLoreState)
        places = types_of_split((updates, state), updates)
        if places is not None:
            return unseen_update(
                GaLore.update, places, self, updates, state, params, **extra
            )
        g = Flat(updates)
        p = [None] * len(g.leaves) if params is None else _aligned(g, params)
        _check_inexact("gradient", g)
        views = [View(x, axes, self.rank) for x, axes in self._leaves(g)]
        held = checks.align("galore", g, "state.projector", state.projector)
        _check_bases(g, views, held)
        commit = extra.get("commit")
        gap = steps_at(self.update_proj_gap, state.count)
        refresh = both(state.count % gap == 0, commit)
        lows, bases = [], []
        for x, view, basis in zip(g.leaves, views, held.leaves, strict=True):
            low, basis, refresh = view.project(x, basis, refresh)
            lows.append(low)
            bases.append(basis)
        low = _rebuild(g, views, lows)
        u, inner = self.base.update(low, state.base_optimizer_state, None, **extra)
        moved = checks.align("galore", g, "the updates of the base", u).leaves
        scale, whole = at_count(self.scale, state.count), extra.get("whole", as_it_lies)
        out = [
            view.restore(y, basis, scale, x, like, whole)
            for y, basis, view, x, like in zip(
                moved, bases, views, g.leaves, p, strict=True
            )
        ]
        count = select(commit, saturating_increment(state.count), state.count)
        return g.rebuild(out), GaLoreState(count, inner, held.rebuild_bare(bases))

    def _leaves(self, flat: Flat) -> list[tuple[Any, Axes]]:
        """Each leaf and its axes; what has no element has no directions either."""
        seen = [not is_end(x) and np.size(x) > 0 for x in flat.leaves]
        return list(zip(flat.leaves, self.axes.find("galore", flat, seen), strict=True))

    def __repr__(self) -> str:
        return (
            f"scale_by_galore(rank={self.rank}, "
            f"update_proj_gap={self.update_proj_gap!r}, scale={self.scale!r}, "
            f"base_optimizer={self.base!r})"
        )


def _rebuild(flat: Flat, views: list[View], leaves: list[Any]) -> PyTree:
    """The tree that the base sees: in boxes where all leaves have their own shape."""
    return (flat.rebuild_bare if any(v.axes for v in views) else flat.rebuild)(leaves)


def _aligned(g: Flat, params: Params) -> list[Any]:
    """The parameters in the order of the gradients."""
    p = checks.align("galore", g, "params", params)
    checks.shapes("galore", "gradient", g, "parameter", p)
    return p.leaves


def _check_inexact(what: str, flat: Flat) -> None:
    checks.inexact("galore", what, flat, [not is_end(x) for x in flat.leaves])


def _check_bases(g: Flat, views: list[View], held: Flat) -> None:
    """Refuses directions of other matrices.

    Raises:
        ValueError: naming every such leaf.
    """
    problems = [
        (path, f"gradient {checks.describe(x)}, projector {checks.describe(basis)}")
        for path, x, view, basis in zip(
            g.paths, g.leaves, views, held.leaves, strict=True
        )
        if view.axes and getattr(basis, "shape", None) != view.basis
    ]
    if problems:
        checks.fail(
            "galore: state.projector does not fit the gradients.",
            problems,
            "Expected the parameters, the dimension numbers and the rank that `init` "
            "saw.",
            ValueError,
        )


def scale_by_galore(
    rank: int = 128,
    update_proj_gap: Hyperparameter = 200,
    scale: Hyperparameter = 1.0,
    base_optimizer: Any = None,
    weight_dimension_numbers: Any = None,
) -> GradientTransformation:
    """Shows a transformation each gradient in few directions of its matrix.

        P <- the first `rank` left singular vectors of g, every update_proj_gap steps
        u  = scale * P base(P^H g)

    Where a matrix has more columns than rows, `P` are the right singular vectors and
    `u = scale * base(g P) P^H`. What is no matrix the base sees as it is.

    Args:
        rank: how many directions are kept, at least 1; of smaller matrices all.
        update_proj_gap: after how many steps the directions are found anew, at least 1.
        scale: factor of the updates of matrices.
        base_optimizer: the transformation, which gets no parameters; None for
            `scale_by_adam()`.
        weight_dimension_numbers: `GaLoreDimensionNumbers` for all parameters of at
            least two axes; or, for each parameter, dimension numbers or None (no
            matrix): `by_path`, a tree or a prefix of it, or a function of the
            parameters. None for parameters with two axes.

    Returns:
        A transformation with `GaLoreState(count, base_optimizer_state, projector)`; the
        base keeps its slots for `rank` rows or columns of a matrix.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter has not the axes that it is given, or the base needs parameters.
        TypeError: if one is no number, or the base no transformation.

    Source: Zhao et al. 2024, arXiv 2403.03507, with `scale=0.25`, which projects the
    shorter side; the longer one, as in Optax, leaves the base less to keep. When the
    directions change the base's state stays, and each has the sign that is nearer to
    the one before. Optax leaves signs to chance, finds float32 directions of float64
    gradients, and takes no stacks of matrices.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_galore(rank=1, base_optimizer=jl.identity())
        >>> g = jnp.diag(jnp.array([3.0, 1.0]))
        >>> tx.update(g, tx.init(g))[0]
        Array([[3., 0.],
               [0., 0.]], dtype=float32)
    """
    rank = fixed_whole_number("rank", rank)
    if not isinstance(rank, int):
        raise TypeError(
            f"rank is {rank!r}; expected an integer: shapes follow from it."
        )
    base = scale_by_adam() if base_optimizer is None else base_optimizer
    return checked(
        GaLore(
            rank,
            update_proj_gap,
            scale,
            as_transformation(base, "galore: base_optimizer"),
            matrix_axes(weight_dimension_numbers),
        )
    )
