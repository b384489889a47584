"""Optimizers that see a parameter as a matrix."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.combine.galore import scale_by_galore
from jaxopt_lite.combine.partition import Partition
from jaxopt_lite.core.matrices import MatrixAxes, matrix_axes
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.core.value import Value
from jaxopt_lite.optimizers.adaptive import adamw
from jaxopt_lite.rules.muon import scale_by_muon, scale_by_shape
from jaxopt_lite.rules.newton_schulz import STANDARD
from jaxopt_lite.rules.scaling import scale_by_learning_rate


class MuonOrAdam(Value):
    """Labels: `"muon"` for what is a matrix, `"adam"` for the rest."""

    axes: MatrixAxes

    def resolve(self, where: str, flat: Flat) -> list[str]:
        """The label of every leaf."""
        seen = [not is_end(leaf) for leaf in flat.leaves]
        found = self.axes.find(where, flat, seen)
        return ["muon" if axes else "adam" for axes in found]


def muon(
    learning_rate: Hyperparameter,
    ns_coeffs: Any = STANDARD,
    ns_steps: int = 5,
    beta: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    weight_decay_mask: Mask | None = None,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    adam_b1: Hyperparameter = 0.9,
    adam_b2: Hyperparameter = 0.999,
    adam_eps_root: Hyperparameter = 0.0,
    adam_weight_decay: Hyperparameter = 0.0,
    adam_learning_rate: Hyperparameter | None = None,
    muon_weight_dimension_numbers: Any = None,
    consistent_rms: Hyperparameter | None = None,
    ns_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Moves matrices along their gradient's mean made orthogonal, the rest by AdamW.

        p <- p - learning_rate * (sqrt(max(1, fan_out / fan_in)) * orthogonal(m)
                                  + weight_decay * p)

    with the mean `m` of `scale_by_muon`. A matrix is a parameter with two axes, unless
    dimension numbers say otherwise: give them for stacked layers and convolutions, and
    None for embeddings and the last layer, which do better with Adam.

    Args:
        learning_rate: step size, at least 0; 0.02 is usual, or Adam's with
            `consistent_rms=0.2`.
        ns_coeffs: `(a, b, c)` of the iteration; or one such triple for each step, and
            `ns_steps` does not count; or `"standard"` or `"dion"`.
        ns_steps: how many steps the iteration has, at least 1.
        beta: weight of the past mean, per step, in [0, 1).
        eps: added to the norm that a matrix is divided by, and in Adam to the root.
        weight_decay: decay of the matrices per unit of learning rate, at least 0.
        weight_decay_mask: which of them decay, as in `masked`.
        mu_dtype: dtype in which the means are kept; by default the parameter's, at
            least float32.
        nesterov: whether both look one step ahead.
        adaptive: whether a matrix moves further where its gradient is larger.
        preconditioning: what a matrix is divided by before the iteration:
            `"frobenius"`, `"spectral"`, `"schatten"` or `"aol"`, as in
            `orthogonalize_via_newton_schulz`.
        adam_b1: Adam's weight of the past mean, per step, in [0, 1).
        adam_b2: Adam's weight of the past mean square, per step, in [0, 1).
        adam_eps_root: added under Adam's root, at least 0.
        adam_weight_decay: decay of the rest per unit of learning rate, at least 0.
        adam_learning_rate: the step size of the rest; None for `learning_rate`.
        muon_weight_dimension_numbers: `MuonDimensionNumbers` for all parameters of at
            least two axes; or, for each parameter, dimension numbers or None (Adam):
            `by_path`, a tree or a prefix of it, or a function of the parameters.
        consistent_rms: the root mean square of a matrix's direction, whatever its
            shape, at least 0; None for the factor above.
        ns_dtype: dtype in which the iteration multiplies, as in `scale_by_muon`.

    Returns:
        A transformation with `PartitionState`, whose groups `muon` and `adam` hold the
        states of `chain(scale_by_muon(…), scale_by_shape(…), add_decayed_weights(…),
        scale_by_learning_rate(…))` and of `adamw(…)`.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter has not the axes that it is given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Jordan et al. 2024, github.com/KellerJordan/Muon; consistent_rms Liu et al.
    2025, arXiv 2502.16982. See `scale_by_muon`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> rows_and_columns = jl.MuonDimensionNumbers(-2, -1)
        >>> tx = jl.muon(
        ...     0.5,
        ...     muon_weight_dimension_numbers=jl.by_path(
        ...         {"bias": None, "embedding": None, "*": rows_and_columns}
        ...     ),
        ... )
        >>> params = {
        ...     "layers": {"kernel": jnp.ones((3, 2, 2)), "bias": jnp.ones((3, 2))},
        ...     "embedding": jnp.ones((5, 2)),
        ... }
        >>> mu = tx.init(params).inner_states["muon"].inner_state[0].mu
        >>> mu["layers"]["kernel"].shape, mu["layers"]["bias"], mu["embedding"]
        ((3, 2, 2), MaskedNode(), MaskedNode())
    """
    axes = matrix_axes(muon_weight_dimension_numbers)
    of_matrices = chain(
        scale_by_muon(
            ns_coeffs,
            ns_steps,
            beta,
            eps,
            mu_dtype,
            nesterov=nesterov,
            adaptive=adaptive,
            preconditioning=preconditioning,
            weight_dimension_numbers=axes,
            ns_dtype=ns_dtype,
        ),
        scale_by_shape(axes, consistent_rms),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    # The numbers that are both's are right by now.
    with called(**{name.removeprefix("adam_"): name for name in _OF_ADAM}):
        of_the_rest = adamw(
            learning_rate if adam_learning_rate is None else adam_learning_rate,
            adam_b1,
            adam_b2,
            eps,
            adam_eps_root,
            mu_dtype,
            adam_weight_decay,
            nesterov=nesterov,
        )
    return Partition(("muon", "adam"), (of_matrices, of_the_rest), MuonOrAdam(axes))


_OF_ADAM = (
    "adam_learning_rate",
    "adam_b1",
    "adam_b2",
    "adam_eps_root",
    "adam_weight_decay",
)


def galore(
    learning_rate: Hyperparameter,
    rank: int = 128,
    update_proj_gap: Hyperparameter = 200,
    scale: Hyperparameter = 1.0,
    base_optimizer: Any = None,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
    weight_dimension_numbers: Any = None,
) -> GradientTransformation:
    """Adam, which keeps of each matrix only the main directions of its gradient.

        p <- p - learning_rate * (scale * P adam(P^H g) + weight_decay * p)

    with the directions `P` of `scale_by_galore`.

    Args:
        learning_rate: step size, at least 0.
        rank: how many directions are kept, at least 1; of smaller matrices all.
        update_proj_gap: after how many steps the directions are found anew, at least 1.
        scale: factor of the updates of matrices.
        base_optimizer: what takes the place of Adam: a transformation that gets no
            parameters; None for `scale_by_adam()`.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.
        weight_dimension_numbers: which axes are a parameter's matrix, as in
            `scale_by_galore`.

    Returns:
        `chain(scale_by_galore(…), add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter has not the axes that it is given, or the base needs parameters.
        TypeError: if one is no number, or the base no transformation.

    Source: Zhao et al. 2024, arXiv 2403.03507.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.galore(0.5, rank=1)
        >>> state = tx.init({"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)})
        >>> {k: x.shape for k, x in state[0].base_optimizer_state.mu.items()}
        {'bias': (2,), 'kernel': (1, 2)}
    """
    return chain(
        scale_by_galore(
            rank, update_proj_gap, scale, base_optimizer, weight_dimension_numbers
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
