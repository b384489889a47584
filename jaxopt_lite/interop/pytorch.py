"""PyTorch's optimizers: its argument names, order and defaults, and its formulas."""

from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import DECAY, number
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Hyperparameter,
)
from jaxopt_lite.interop.pytorch_cycles import (
    cosine_annealing_lr as cosine_annealing_lr,
)
from jaxopt_lite.interop.pytorch_cycles import (
    cosine_annealing_warm_restarts as cosine_annealing_warm_restarts,
)
from jaxopt_lite.interop.pytorch_cycles import one_cycle_lr as one_cycle_lr
from jaxopt_lite.interop.pytorch_cycles import one_cycle_momentum as one_cycle_momentum
from jaxopt_lite.interop.pytorch_cycles import sequential_lr as sequential_lr
from jaxopt_lite.interop.pytorch_moments import adamax as adamax
from jaxopt_lite.interop.pytorch_moments import nadam as nadam
from jaxopt_lite.interop.pytorch_moments import radam as radam
from jaxopt_lite.interop.pytorch_parts import (
    Betas,
    coupled,
    descend,
    is_zero,
    moments,
    traced,
)
from jaxopt_lite.interop.pytorch_schedules import constant_lr as constant_lr
from jaxopt_lite.interop.pytorch_schedules import exponential_lr as exponential_lr
from jaxopt_lite.interop.pytorch_schedules import linear_lr as linear_lr
from jaxopt_lite.interop.pytorch_schedules import multi_step_lr as multi_step_lr
from jaxopt_lite.interop.pytorch_schedules import polynomial_lr as polynomial_lr
from jaxopt_lite.interop.pytorch_schedules import step_lr as step_lr
from jaxopt_lite.interop.pytorch_state.load import load_state_dict as load_state_dict
from jaxopt_lite.interop.pytorch_steps import adadelta as adadelta
from jaxopt_lite.interop.pytorch_steps import adafactor as adafactor
from jaxopt_lite.interop.pytorch_steps import asgd as asgd
from jaxopt_lite.interop.pytorch_steps import muon as muon
from jaxopt_lite.interop.pytorch_steps import rprop as rprop
from jaxopt_lite.rules.pytorch import DivideByRss, InverseTimeDecay
from jaxopt_lite.rules.rms import scale_by_rms, scale_by_stddev


def sgd(
    lr: Hyperparameter = 1e-3,
    momentum: Hyperparameter = 0,
    dampening: Hyperparameter = 0,
    weight_decay: Hyperparameter = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Steps against a running sum of gradients, as `torch.optim.SGD`.

        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        pytorch.sgd(lr=0.1, momentum=0.9)

        g     <- g + weight_decay * p
        trace <- momentum * trace + (1 - dampening) * g    (g at the first step)
        u      = -lr * trace                  (-lr * (g + momentum * trace) if nesterov)

    Args:
        lr: learning rate, at least 0.
        momentum: weight of the trace, per step, at least 0; the number 0 keeps none.
        dampening: what is taken from the weight of each gradient after the first.
        weight_decay: strength of the L2 penalty, which enters the trace.
        nesterov: whether to look one step ahead.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with one slot like the parameter, none without momentum.

    Raises:
        ValueError: if an argument is outside its range, or `nesterov` comes without
            momentum or with dampening; from `update`, if weight decay lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding. `jaxopt_lite.sgd` has neither dampening
    nor decay.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.sgd(lr=0.1, momentum=0.9, dampening=0.5)
        >>> u, state = tx.update(jnp.array(1.0), tx.init(jnp.array(0.0)))
        >>> tx.update(jnp.array(1.0), state)[0]
        Array(-0.14, dtype=float32)
    """
    if nesterov and (is_zero(momentum) or not is_zero(dampening)):
        raise ValueError(
            f"nesterov=True with momentum={momentum!r} and dampening={dampening!r}; "
            f"expected a momentum and no dampening. Leave `dampening` at 0."
        )
    return descend(
        *coupled(weight_decay),
        *traced(momentum, dampening, nesterov),
        lr=lr,
        maximize=maximize,
    )


def adagrad(
    lr: Hyperparameter = 1e-2,
    lr_decay: Hyperparameter = 0,
    weight_decay: Hyperparameter = 0,
    initial_accumulator_value: Hyperparameter = 0,
    eps: Hyperparameter = 1e-10,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Divides by the root of all squares so far, as `torch.optim.Adagrad`.

        torch.optim.Adagrad(model.parameters(), lr=0.01)
        pytorch.adagrad(lr=0.01)

        g   <- g + weight_decay * p
        sum <- sum + g**2
        u    = -lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps),  t = 1, 2, …

    Args:
        lr: learning rate, at least 0.
        lr_decay: how fast it falls, per step, at least 0.
        weight_decay: strength of the L2 penalty, which enters the sum.
        initial_accumulator_value: where the sum begins, at least 0.
        eps: added beside the root, at least 0.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with one slot like the parameter.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding, except that its groups all begin with
    the optimizer's own `initial_accumulator_value`; Duchi, Hazan and Singer 2011, JMLR
    12. `jaxopt_lite.adagrad` begins its sum at 0.1 and adds `eps=1e-7` under the root.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adagrad(lr=0.1)
        >>> tx.update(jnp.array([2.0, 0.0]), tx.init(jnp.zeros(2)))[0]
        Array([-0.1, -0. ], dtype=float32)
    """
    slowdown = leafwise(InverseTimeDecay(number("lr_decay", lr_decay)))
    return descend(
        *coupled(weight_decay),
        leafwise(DivideByRss(initial_accumulator_value, eps)),
        *([] if is_zero(lr_decay) else [slowdown]),
        lr=lr,
        maximize=maximize,
    )


def rmsprop(
    lr: Hyperparameter = 1e-2,
    alpha: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0,
    momentum: Hyperparameter = 0,
    centered: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Divides by the root of the moving mean of squares, as `torch.optim.RMSprop`.

        torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.99)
        pytorch.rmsprop(lr=1e-3, alpha=0.99)

        g     <- g + weight_decay * p
        mu    <- alpha * mu + (1 - alpha) * g
        nu    <- alpha * nu + (1 - alpha) * g**2
        trace <- momentum * trace + g / (sqrt(nu) + eps)
        u      = -lr * trace                (nu - mu**2 in the place of nu if centered)

    Args:
        lr: learning rate, at least 0; it multiplies the whole trace, past steps too.
        alpha: weight of the past means, per step, in [0, 1).
        eps: added beside the root, at least 0.
        weight_decay: strength of the L2 penalty, which enters the means.
        momentum: weight of the trace, per step, at least 0; the number 0 keeps none.
        centered: whether to divide by the standard deviation.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with one slot like the parameter, one more if centered, one
        more with momentum.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; but a variance that rounding makes
    negative counts as zero, where PyTorch returns nan. `jaxopt_lite.rmsprop` has
    `decay=0.9`, `eps` under the root, and `lr` before the momentum.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.rmsprop(lr=0.1, alpha=0.75)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(-0.2, dtype=float32)
    """
    divide = scale_by_stddev if centered else scale_by_rms
    return descend(
        *coupled(weight_decay),
        divide(number("alpha", alpha, DECAY), eps, eps_in_sqrt=False),
        *traced(momentum),
        lr=lr,
        maximize=maximize,
    )


def adam(
    lr: Hyperparameter = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Divides the mean by the root of the mean square, as `torch.optim.Adam`.

        torch.optim.Adam(model.parameters(), lr=1e-3)
        pytorch.adam(lr=1e-3)

        g  <- g + weight_decay * p
        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * g**2
        u   = -lr * mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t)) + eps),  t = 1, 2, …

    Args:
        lr: learning rate, at least 0.
        betas: `b1` and `b2`, weights of the past means, per step, in [0, 1).
        eps: added beside the root, at least 0.
        weight_decay: strength of the L2 penalty, which enters both means; see `adamw`.
        amsgrad: whether the largest `nu` so far takes the place of `nu`.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter, three with `amsgrad`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Kingma and Ba 2014, arXiv 1412.6980;
    amsgrad Reddi, Kale and Kumar 2018, arXiv 1904.09237, where Optax's corrects the
    bias before it takes the maximum. `jaxopt_lite.adam` is the same without either.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adam(lr=0.1)
        >>> tx.update(jnp.array([1.0, -2.0]), tx.init(jnp.zeros(2)))[0]
        Array([-0.1,  0.1], dtype=float32)
    """
    return descend(
        *coupled(weight_decay), moments(betas, eps, amsgrad), lr=lr, maximize=maximize
    )


def adamw(
    lr: Hyperparameter = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Adam whose weight decay bypasses the means, as `torch.optim.AdamW`.

        torch.optim.AdamW(
            [{"params": kernels}, {"params": biases, "weight_decay": 0.0}], lr=3e-4
        )
        pytorch.adamw(lr=3e-4, weight_decay=by_path({"bias": 0.0, "*": 0.01}))

        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * g**2
        d   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t)) + eps),  t = 1, 2, …
        u   = -lr * (d + weight_decay * p)

    Args:
        lr: learning rate, at least 0; it multiplies the decay too.
        betas: `b1` and `b2`, weights of the past means, per step, in [0, 1).
        eps: added beside the root, at least 0.
        weight_decay: how fast parameters decay, per step and unit of `lr`.
        amsgrad: whether the largest `nu` so far takes the place of `nu`.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter, three with `amsgrad`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Loshchilov and Hutter 2017, arXiv
    1711.05101. `jaxopt_lite.adamw` is the same with `weight_decay=1e-4`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adamw(lr=0.1, weight_decay=0.5)
        >>> params = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([1.0, -2.0]), tx.init(params), params)[0]
        Array([-0.15,  0.05], dtype=float32)
    """
    return descend(
        moments(betas, eps, amsgrad),
        add_decayed_weights(weight_decay),
        lr=lr,
        maximize=maximize,
    )
