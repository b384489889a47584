"""Which name of Optax's stands for what here, and which are left out, and why."""

import difflib
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jaxopt_lite
from jaxopt_lite import tree
from jaxopt_lite.core import types
from jaxopt_lite.core.transformation import EmptyState, GradientTransformation

ALIASES: dict[str, Any] = {
    # The protocol: extra arguments are part of it here.
    "GradientTransformationExtraArgs": GradientTransformation,
    "TransformInitFn": Callable[[types.Params], types.State],
    "TransformUpdateFn": Callable[..., tuple[types.Updates, types.State]],
    "TransformUpdateExtraArgsFn": Callable[..., tuple[types.Updates, types.State]],
    "init_empty_state": lambda params: EmptyState(),
    # Names for annotations.
    "ConditionFn": Callable[..., Any],
    "MaskOrFn": types.Mask,
    "OptState": types.State,
    "Params": types.Params,
    "ScalarOrSchedule": types.Hyperparameter,
    "Schedule": types.ScheduleFn,
    "ShouldSkipUpdateFunction": Callable[..., Any],
    "Updates": types.Updates,
    # Older names.
    "MultiTransformState": jaxopt_lite.PartitionState,
    "inject_stateful_hyperparams": jaxopt_lite.inject_hyperparams,
    "multi_transform": jaxopt_lite.partition,
    "safe_int32_increment": jaxopt_lite.safe_increment,
    "bias_correction": tree.bias_correction,
    "tree_map_params": tree.map_params,
    "update_infinity_moment": tree.update_infinity_moment,
    "update_moment": tree.update_moment,
    "update_moment_per_elem_norm": tree.update_moment_per_elem_norm,
    # Transformations that remember nothing.
    **dict.fromkeys(
        (
            "AdaptiveGradClipState",
            "AddDecayedWeightsState",
            "ClipByGlobalNormState",
            "ClipState",
            "NonNegativeParamsState",
            "NormalizeState",
            "ScaleByTrustRatioState",
            "ScaleState",
        ),
        EmptyState,
    ),
}
"""What stands for a name of Optax's that has another name here, or none."""

_LOSS = "a loss and no transformation: use it by `from optax import losses`"
_ELSEWHERE = "no transformation: use it by `from optax import {}`"

LEFT_OUT: dict[str, str] = {
    "losses": "no transformation: use it by `from optax import losses`",
    **dict.fromkeys(
        (
            "convex_kl_divergence",
            "cosine_distance",
            "cosine_similarity",
            "ctc_loss",
            "ctc_loss_with_forward_probs",
            "generalized_kl_divergence",
            "hinge_loss",
            "huber_loss",
            "kl_divergence",
            "l2_loss",
            "log_cosh",
            "ntxent",
            "safe_softmax_cross_entropy",
            "sigmoid_binary_cross_entropy",
            "sigmoid_focal_loss",
            "smooth_labels",
            "softmax_cross_entropy",
            "softmax_cross_entropy_with_integer_labels",
            "squared_error",
        ),
        _LOSS,
    ),
    "InjectHyperparamsState": "an older state: use `InjectStatefulHyperparamsState`",
    **{
        name: _ELSEWHERE.format(name)
        for name in (
            "assignment",
            "experimental",
            "matrix_inverse_pth_root",
            "microbatching",
            "multi_normal",
            "nnls",
            "perturbations",
            "power_iteration",
            "scale_gradient",
            "second_order",
        )
    },
    "microbatch": "no transformation: use it by `from optax import microbatching`",
}
"""Why a public name of Optax's is not here, and where it is."""


def flat() -> dict[str, Any]:
    """The names of `optax`, of `optax.contrib`, `optax.transforms`, `optax.schedules`.

    They are collected anew at every look-up, so that all public names are among them.
    """
    return {**_public(jaxopt_lite), **ALIASES}


def of_tree() -> dict[str, Any]:
    """The names of `optax.tree`."""
    return {**_public(tree), **_TREE}


def of_tree_utils() -> dict[str, Any]:
    """The names of `optax.tree_utils`: those of functions begin with `tree_`."""
    names = of_tree().items()
    return {n if isinstance(x, type) else f"tree_{n}": x for n, x in names}


def look_up(where: str, names: dict[str, Any], name: str) -> Any:
    """What stands for a name of Optax's.

    Raises:
        AttributeError: if nothing does; of what is left out, it says where that is.
    """
    if name in names:
        return names[name]
    if name in LEFT_OUT:
        raise AttributeError(f"{where}.{name} is {LEFT_OUT[name]}.", name=name)
    near = difflib.get_close_matches(name, names, 1)
    nearest = f"; the nearest name is {near[0]!r}" if near else ""
    raise AttributeError(
        f"{where}.{name} is no name that is known here{nearest}.", name=name
    )


def _get(state: Any, key: Any, default: Any = None, filtering: Any = None) -> Any:
    """`tree.get`, which gives None for a name that stands nowhere."""
    return tree.get(state, key, default, filtering)


_TREE: dict[str, Any] = {
    "get": _get,
    "scalar_mul": tree.scale,
    "add_scalar_mul": tree.add_scale,
    "l1_norm": functools.partial(tree.norm, ord=1),
    "l2_norm": tree.norm,
    "linf_norm": functools.partial(tree.norm, ord="inf"),
}
"""What differs in `optax.tree` from `jaxopt_lite.tree`."""


def _public(module: ModuleType) -> dict[str, Any]:
    """What a module exports, other modules apart."""
    return {
        name: x
        for name, x in vars(module).items()
        if not name.startswith("_") and not isinstance(x, ModuleType)
    }
