"""Adam's relatives: NAdam, RAdam, Adamax."""

from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.interop.pytorch_parts import Betas, coupled, descend, is_zero, pair
from jaxopt_lite.rules.maximum import scale_by_adamax
from jaxopt_lite.rules.pytorch_moments import Nadam, Radam


def nadam(
    lr: Hyperparameter = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0,
    momentum_decay: Hyperparameter = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Adam with Nesterov's momentum, whose weight rises, as `torch.optim.NAdam`.

        torch.optim.NAdam(model.parameters(), lr=2e-3)
        pytorch.nadam(lr=2e-3)

        w_t = b1 * (1 - 0.5 * 0.96**(t * momentum_decay));  W <- W * w_t
        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * g**2
        m   = (1 - w_t) / (1 - W) * g + w_(t+1) / (1 - W * w_(t+1)) * mu
        u   = -lr * m / (sqrt(nu / (1 - b2**t)) + eps),  t = 1, 2, …

    Args:
        lr: learning rate, at least 0.
        betas: `b1` and `b2`, weights of the past means, per step, in [0, 1).
        eps: added beside the root, at least 0.
        weight_decay: strength of the L2 penalty, which enters both means.
        momentum_decay: how fast the momentum's weight rises, at least 0.
        decoupled_weight_decay: whether the decay bypasses the means, as in `adamw`.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter, and a number for each.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Dozat 2016. `jaxopt_lite.nadam` has a
    constant weight.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.nadam(lr=0.1)
        >>> u, _ = tx.update(jnp.array([1.0, -2.0]), tx.init(jnp.zeros(2)))
        >>> u.round(4)
        Array([-0.1056,  0.1056], dtype=float32)
    """
    b1, b2 = pair("betas", betas)
    rule = leafwise(Nadam(b1, b2, eps, momentum_decay))
    return _decayed(rule, weight_decay, decoupled_weight_decay, lr, maximize)


def radam(
    lr: Hyperparameter = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Adam that trusts its second moment only after some steps, as `torch.optim.RAdam`.

        torch.optim.RAdam(model.parameters(), lr=1e-3)
        pytorch.radam(lr=1e-3)

        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * g**2
        u   = -lr * mu / (1 - b1**t) * r * sqrt(1 - b2**t) / (sqrt(nu) + eps)

    where `r` is the rectification of Liu et al. for the length of the average; while
    that is at most 5, `u = -lr * mu / (1 - b1**t)`.

    Args:
        lr: learning rate, at least 0.
        betas: `b1` and `b2`, weights of the past means, per step, in [0, 1).
        eps: added beside the root, at least 0, before the bias is corrected.
        weight_decay: strength of the L2 penalty, which enters both means.
        decoupled_weight_decay: whether the decay bypasses the means, as in `adamw`.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Liu et al. 2019, arXiv 1908.03265.
    `jaxopt_lite.radam` adds `eps` after the bias is corrected.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.radam(lr=0.1, betas=(0.5, 0.5))
        >>> tx.update(jnp.array([1.0, -2.0]), tx.init(jnp.zeros(2)))[0]
        Array([-0.1,  0.2], dtype=float32)
    """
    b1, b2 = pair("betas", betas)
    rule = leafwise(Radam(b1, b2, eps))
    return _decayed(rule, weight_decay, decoupled_weight_decay, lr, maximize)


def adamax(
    lr: Hyperparameter = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Divides the mean by the largest fading gradient, as `torch.optim.Adamax`.

        torch.optim.Adamax(model.parameters(), lr=2e-3)
        pytorch.adamax(lr=2e-3)

        g  <- g + weight_decay * p
        mu <- b1 * mu + (1 - b1) * g
        nu <- max(b2 * nu, |g| + eps)
        u   = -lr * mu / (1 - b1**t) / nu,  t = 1, 2, …

    Args:
        lr: learning rate, at least 0.
        betas: `b1` and `b2`, weights of the past, per step, in [0, 1).
        eps: added to each gradient's magnitude, at least 0.
        weight_decay: strength of the L2 penalty, which enters the mean.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Kingma and Ba 2014, arXiv 1412.6980.
    `jaxopt_lite.adamax` is the same without weight decay.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adamax(lr=0.1, betas=(0.5, 0.5))
        >>> tx.update(jnp.array([1.0, -2.0]), tx.init(jnp.zeros(2)))[0]
        Array([-0.1,  0.1], dtype=float32)
    """
    b1, b2 = pair("betas", betas)
    rule = scale_by_adamax(b1, b2, eps)
    return descend(*coupled(weight_decay), rule, lr=lr, maximize=maximize)


def _decayed(
    rule: GradientTransformation,
    weight_decay: Hyperparameter,
    is_decoupled: bool,
    lr: Hyperparameter,
    maximize: bool,
) -> GradientTransformation:
    """A rule with weight decay before it, or beside it."""
    if is_decoupled and not is_zero(weight_decay):
        decay = add_decayed_weights(weight_decay)
        return descend(rule, decay, lr=lr, maximize=maximize)
    return descend(*coupled(weight_decay), rule, lr=lr, maximize=maximize)
