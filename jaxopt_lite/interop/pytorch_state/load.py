"""The state of an optimizer that goes on where one of PyTorch stopped."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, State
from jaxopt_lite.interop.pytorch_state.axes import WHERE, Transpose
from jaxopt_lite.interop.pytorch_state.compare import report_numbers
from jaxopt_lite.interop.pytorch_state.counts import counted, report_unequal
from jaxopt_lite.interop.pytorch_state.kept import Kept
from jaxopt_lite.interop.pytorch_state.misfits import refuse_misfits
from jaxopt_lite.interop.pytorch_state.saved import Names, read
from jaxopt_lite.interop.pytorch_state.walk import Node, walk


def load_state_dict(
    tx: Any,
    params: Params,
    state_dict: Mapping[str, Any],
    names: Names = None,
    transpose: Transpose = None,
    *,
    count: int | None = None,
) -> State:
    """The state with which an optimizer goes on where one of `torch.optim` stopped.

        optimizer.state_dict()
        pytorch.load_state_dict(tx, params, state_dict, names, transpose)

    The steps that follow are those that PyTorch would have taken, to rounding, with the
    optimizers of this module, and with those of `jaxopt_lite` where the formulas are
    the same. Buffers go to the slots (`exp_avg` to `mu`, `momentum_buffer` to `trace`),
    the number of steps to every count, those of schedules too. What PyTorch has no
    buffer for yet is as before the first step.

    Args:
        tx: what continues SGD, Adam, AdamW, RMSprop, Adagrad, NAdam, RAdam, Adamax,
            Adadelta, ASGD, Rprop or Muon, also inside `chain`, `masked`, `partition`,
            `inject_hyperparams` and the like. Its own numbers stay in force.
        params: the parameters, as for `init`.
        state_dict: of PyTorch's optimizer; tensors, or NumPy arrays of the same shapes.
        names: our path of each parameter, None for one that has no counterpart. A list
            is in the order of PyTorch's indices: group after group, and not that of the
            model. A dict is from PyTorch's names, which an optimizer made of
            `named_parameters()` saves, or from indices. A name such as
            `layers.0.weight` stands for the path `layers/0/weight`; without `names`,
            those that are saved do.
        transpose: a dict from patterns, as of `by_path`, to what each axis of ours is
            in PyTorch: `(1, 0)` for Flax's dense kernels, `(2, 3, 1, 0)` for those of
            its convolutions; or to a function of the array. Where no pattern matches,
            axes stay. Or one function of path and array.
        count: how many steps were taken, if the state dict does not say so, as that of
            SGD or Muon. It is needed only by optimizers that count, for a schedule.

    Returns:
        The state, in the structure, dtypes and places of `tx.init(params)`.

    Raises:
        TypeError: if `state_dict`, `names` or `transpose` is no such thing, or nothing
            of the optimizer can be loaded, as of one of Optax.
        ValueError: if names are unknown, parameters missing, shapes or axes others, or
            the optimizer of another kind, naming all such parameters; if the number of
            steps is needed and not known, or another than was saved.

    Warns:
        UserWarning: where a learning rate, decay or the like that is in force at the
            next step is not that of the parameter's group; where parameters took fewer
            steps than others; of slots that PyTorch has nothing for, such as those of
            `ema`, which begin anew.

    Source: PyTorch 2.13. Muon's steps depend on which axis of a matrix comes first: a
    transposed parameter goes another way.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from jaxopt_lite.interop import pytorch
        >>> state_dict = {  # as of a Linear(3, 2) without a bias
        ...     "state": {0: {"momentum_buffer": np.ones((2, 3))}},
        ...     "param_groups": [{"lr": 0.1, "momentum": 0.9, "params": [0]}],
        ... }
        >>> state = pytorch.load_state_dict(
        ...     pytorch.sgd(lr=0.1, momentum=0.9),
        ...     {"kernel": jnp.zeros((3, 2))},
        ...     state_dict,
        ...     names=["kernel"],
        ...     transpose={"kernel": (1, 0)},
        ... )
        >>> state[0].trace["kernel"].shape
        (3, 2)
    """
    tx = as_transformation(tx, f"{WHERE}: the optimizer")
    flat = Flat(params)
    if any(isinstance(p, jax.ShapeDtypeStruct) for p in flat.leaves):
        raise TypeError(f"{WHERE}: the parameters are shapes; expected arrays.")
    saved = read(state_dict, names, transpose, flat)
    state = tx.init(params)
    everywhere = [not is_end(p) for p in flat.leaves]
    nodes = list(walk(tx, state, flat, everywhere))
    rules = [Kept(node, flat) for node in nodes if isinstance(node.tx, Leafwise)]
    _refuse_closed(nodes, rules)
    refuse_misfits(rules, saved, flat)
    pairs = [pair for rule in rules for pair in rule.loaded(saved)]
    pairs += counted(nodes, rules, saved, flat, count)
    new = {id(old): x for old, x in pairs}
    state = jax.tree.map(
        lambda x: new.get(id(x), x), state, is_leaf=lambda x: id(x) in new
    )
    _report_new(nodes, rules)
    report_unequal(rules, saved, flat)
    report_numbers(walk(tx, state, flat, everywhere), saved, flat)
    return state


def _refuse_closed(nodes: Sequence[Node], rules: Sequence[Kept]) -> None:
    """Refuses an optimizer of which nothing can be loaded."""
    closed = [node.tx for node in nodes if node.is_closed]
    if closed and not any(rule.counterpart.slots for rule in rules):
        raise TypeError(
            f"{WHERE}: what {checks.article(type(closed[0]).__name__)} keeps cannot be "
            f"loaded; expected rules of jaxopt_lite that see the parameters as they "
            f"are, such as those of `interop.pytorch`."
        )


def _report_new(nodes: Sequence[Node], rules: Sequence[Kept]) -> None:
    """Warns of slots that PyTorch has nothing for."""
    names = [rule.link.name for rule in rules if rule.is_new]
    names += [type(node.tx).__name__ for node in nodes if node.is_closed]
    if names:
        listed = ", ".join(dict.fromkeys(names))
        warnings.warn(
            f"{WHERE}: PyTorch keeps nothing for {listed}, which begins anew.",
            UserWarning,
            stacklevel=3,
        )
