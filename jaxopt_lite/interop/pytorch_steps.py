"""Optimizers with step sizes of their own: Adadelta, Adafactor, ASGD, Muon, Rprop."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import FINITE, number
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.interop.pytorch_parts import Betas, coupled, descend, pair, turned
from jaxopt_lite.rules.adadelta import scale_by_adadelta
from jaxopt_lite.rules.pytorch_muon import Muon
from jaxopt_lite.rules.pytorch_steps import Adafactor, Asgd
from jaxopt_lite.rules.scaling import scale
from jaxopt_lite.rules.sign import scale_by_rprop


def adadelta(
    lr: Hyperparameter = 1.0,
    rho: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Scales by the ratio of past steps to past gradients, as `torch.optim.Adadelta`.

        torch.optim.Adadelta(model.parameters())
        pytorch.adadelta()

        g   <- g + weight_decay * p
        e_g <- rho * e_g + (1 - rho) * g**2
        d    = sqrt(e_x + eps) / sqrt(e_g + eps) * g
        e_x <- rho * e_x + (1 - rho) * d**2
        u    = -lr * d

    Args:
        lr: learning rate, at least 0.
        rho: weight of the past means, per step, in [0, 1).
        eps: added under both roots, at least 0.
        weight_decay: strength of the L2 penalty, which enters the means.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if weight decay
            lacks parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Zeiler 2012, arXiv 1212.5701.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adadelta(rho=0.0, eps=1.0)
        >>> tx.update(jnp.array(1.0), tx.init(jnp.array(0.0)))[0].round(4)
        Array(-0.7071, dtype=float32)
    """
    rule = scale_by_adadelta(rho, eps)
    return descend(*coupled(weight_decay), rule, lr=lr, maximize=maximize)


def adafactor(
    lr: Hyperparameter = 1e-2,
    beta2_decay: Hyperparameter = -0.8,
    eps: tuple[Hyperparameter | None, Hyperparameter] = (None, 1e-3),
    d: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Adafactor, as `torch.optim.Adafactor`.

        torch.optim.Adafactor(model.parameters())
        pytorch.adafactor()

        w    = t**beta2_decay
        row <- (1 - w) * row + w * mean of g**2 along rows;  col likewise
        nu   = row * col / max(mean of row, eps1)          (a plain mean for vectors)
        v    = g / sqrt(max(nu, eps1**2))
        rate = max(eps2, rms(p)) * min(lr, 1 / sqrt(t))
        u    = -rate * v / max(1, rms(v) / d) - lr * weight_decay * p

    Args:
        lr: largest relative step size, at least 0.
        beta2_decay: how fast the weight of a gradient falls, at most 0.
        eps: `eps1`, at least 0, where None is the dtype's epsilon; `eps2`, the least
            size of a parameter, at least 0.
        d: largest root mean square of `v`, above 0.
        weight_decay: how fast parameters decay, per step and unit of `lr`.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with the mean squares of rows and columns of each parameter
        with two axes or more, in its last two.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding; Shazeer and Stern 2018, arXiv
    1804.04235. `jaxopt_lite.adafactor` is Optax's.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.adafactor(lr=0.5)
        >>> p = jnp.ones((2, 2))
        >>> tx.update(jnp.full((2, 2), 3.0), tx.init(p), p)[0].round(4)
        Array([[-0.5, -0.5],
               [-0.5, -0.5]], dtype=float32)
    """
    if not isinstance(eps, tuple | list) or len(eps) != 2:
        raise TypeError(f"eps is {eps!r}; expected a pair, such as (None, 1e-3).")
    rule = Adafactor(
        lr,
        beta2_decay,
        None if eps[0] is None else number("eps[0]", eps[0]),
        number("eps[1]", eps[1]),
        d,
        weight_decay,
    )
    return chain(*turned(maximize), leafwise(rule))


def asgd(
    lr: Hyperparameter = 1e-2,
    lambd: Hyperparameter = 1e-4,
    alpha: Hyperparameter = 0.75,
    t0: Hyperparameter = 1e6,
    weight_decay: Hyperparameter = 0,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Gradient descent with a falling rate and averaging, as `torch.optim.ASGD`.

        torch.optim.ASGD(model.parameters(), lr=0.01)
        pytorch.asgd(lr=0.01)

        eta = lr / (1 + lambd * lr * (t - 1))**alpha,  t = 1, 2, …
        u   = -eta * (g + (weight_decay + lambd) * p)
        ax <- ax + (p + u - ax) / max(1, t - 1 - t0)

    Args:
        lr: learning rate at the first step, at least 0.
        lambd: how fast parameters decay and the rate falls, at least 0.
        alpha: power of the rate's fall, at least 0.
        t0: the step after which `ax` averages, at least 0.
        weight_decay: strength of the L2 penalty.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with one slot like the parameter: the average `ax`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: PyTorch 2.13, followed to rounding, with a scheduled `lr` too, which acts
    one step late there; Polyak and Juditsky 1992, SIAM J. Control Optim. 30.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.asgd(lr=0.5, lambd=0.5)
        >>> p = jnp.array(1.0)
        >>> tx.update(jnp.array(1.0), tx.init(p), p)[0]
        Array(-0.75, dtype=float32)
    """
    rule = Asgd(lr, lambd, alpha, t0)
    return chain(*turned(maximize), *coupled(weight_decay), leafwise(rule))


def muon(
    lr: Hyperparameter = 1e-3,
    weight_decay: Hyperparameter = 0.1,
    momentum: Hyperparameter = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> GradientTransformation:
    """Draws the singular values of the momentum to one, as `torch.optim.Muon`.

        torch.optim.Muon(matrices, lr=1e-3)
        pytorch.muon(lr=1e-3)

        mu <- momentum * mu + (1 - momentum) * g
        m   = (1 - momentum) * g + momentum * mu          (mu itself without nesterov)
        u   = -lr * (f * orthogonal(m) + weight_decay * p)

    where `orthogonal` is Newton and Schulz's iteration in bfloat16, and `f` is
    `sqrt(max(1, rows / columns))`.

    Args:
        lr: learning rate, at least 0.
        weight_decay: how fast parameters decay, per step and unit of `lr`.
        momentum: weight of the past mean, per step, in [0, 1).
        nesterov: whether to look one step ahead.
        ns_coefficients: of the polynomial that is iterated.
        eps: least norm divided by, at least 0.
        ns_steps: how often it is iterated.
        adjust_lr_fn: `"original"` or None for `f` as above, `"match_rms_adamw"` for
            `0.2 * sqrt(max(rows, columns))`.

    `lr`, `weight_decay` and `momentum` may also be arrays, schedules or `by_path`.

    Returns:
        A transformation with one slot like the parameter. It takes matrices alone: give
        other parameters another optimizer with `partition`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters, or if a parameter is no matrix.
        TypeError: if one is no number of its kind.

    Source: PyTorch 2.13, followed to the rounding of bfloat16; Jordan et al. 2024. A
    PyTorch weight has its rows along the outputs, a Flax kernel its columns: transpose.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.muon(lr=1.0, weight_decay=0.0)
        >>> p = jnp.zeros((2, 2))
        >>> u, _ = tx.update(jnp.diag(jnp.array([1.0, 3.0])), tx.init(p), p)
        >>> u.round(1)
        Array([[-1.1, -0. ],
               [-0. , -0.8]], dtype=float32)
    """
    if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
        raise ValueError(
            f"adjust_lr_fn is {adjust_lr_fn!r}; expected None, 'original' or "
            f"'match_rms_adamw'."
        )
    rule = Muon(momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn)
    decay = add_decayed_weights(weight_decay)
    return descend(leafwise(rule), decay, lr=lr, maximize=False)


def rprop(
    lr: Hyperparameter = 1e-2,
    etas: Betas = (0.5, 1.2),
    step_sizes: Betas = (1e-6, 50),
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Steps that grow while the gradient keeps its sign, as `torch.optim.Rprop`.

        torch.optim.Rprop(model.parameters(), lr=0.01)
        pytorch.rprop(lr=0.01)

        size <- clip(size * (etas[1], 1 or etas[0]), *step_sizes)
        u     = -size * sign(g),  0 where the sign has changed

    where the factor depends on whether the sign of the gradient is the last one, zero
    or another.

    Args:
        lr: the first step size, at least 0.
        etas: the factors of a size that shrinks, in (0, 1), and that grows, above 1.
        step_sizes: the least and the largest size, at least 0.
        maximize: whether to step uphill.

    Every number may also be an array, a schedule or `by_path`, which takes the place of
    `param_groups`.

    Returns:
        A transformation with two slots like the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`, or no pair.

    Source: PyTorch 2.13, followed to rounding; Riedmiller and Braun 1993, ICNN.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite.interop import pytorch
        >>> tx = pytorch.rprop(lr=0.5, etas=(0.5, 2.0))
        >>> u, state = tx.update(jnp.array([1.0, 1.0]), tx.init(jnp.zeros(2)))
        >>> tx.update(jnp.array([1.0, -1.0]), state)[0]
        Array([-1., -0.], dtype=float32)
    """
    shrink, grow = pair("etas", etas, FINITE)
    least, most = pair("step_sizes", step_sizes, "[0, inf)")
    steps = scale_by_rprop(
        number("lr", lr),
        number("etas[0]", shrink, "(0, 1)"),
        number("etas[1]", grow, "(1, inf)"),
        least,
        most,
    )
    return chain(*turned(maximize), steps, scale(-1.0))
