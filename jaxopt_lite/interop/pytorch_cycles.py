"""PyTorch's learning rate schedulers of several parts, as schedules of the step."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import fixed_number
from jaxopt_lite.core.types import Count, Numeric, ScheduleFn
from jaxopt_lite.schedules.arithmetic import FRACTION, POSITIVE, as_float
from jaxopt_lite.schedules.joined import join_schedules
from jaxopt_lite.schedules.piecewise import CosineInterpolated, Interpolated

CURVES = {"cos": CosineInterpolated, "linear": Interpolated}


class CosineAnnealing(Schedule):
    """A cosine without end."""

    lr: Numeric
    T_max: Numeric
    eta_min: Numeric

    def __call__(self, count: Count | int) -> Any:
        return _cosine(self.lr, self.eta_min, as_float(count) / self.T_max)


def cosine_annealing_lr(
    lr: Numeric, T_max: Numeric, eta_min: Numeric = 0.0
) -> Schedule:
    """Falls along a cosine, and rises again after its end, as `CosineAnnealingLR`.

        scheduler = CosineAnnealingLR(SGD(model.parameters(), lr=0.1), T_max=100)
        pytorch.sgd(lr=pytorch.cosine_annealing_lr(0.1, T_max=100))

        eta_min + (lr - eta_min) * (1 + cos(pi * count / T_max)) / 2

    `jaxopt_lite.cosine_decay_schedule` stays at its end.

    Args:
        lr: the learning rate of the first step.
        T_max: half a wave in steps, more than 0.
        eta_min: the learning rate after `T_max` steps.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, whose recursion is followed to rounding; Loshchilov and Hutter
    2016, arXiv 1608.03983.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.cosine_annealing_lr(1.0, T_max=10)
        >>> [round(float(rate(count)), 3) for count in (0, 5, 10, 15, 20)]
        [1.0, 0.5, 0.0, 0.5, 1.0]
    """
    return CosineAnnealing(
        fixed_number("lr", lr),
        fixed_number("T_max", T_max, POSITIVE),
        fixed_number("eta_min", eta_min),
    )


class WarmRestarts(Schedule):
    """Half waves of the cosine, each a whole number of times as long as the last."""

    lr: Numeric
    T_0: Numeric
    T_mult: int
    eta_min: Numeric

    def __call__(self, count: Count | int) -> Any:
        taken = as_float(count)
        if self.T_mult == 1:
            return _cosine(self.lr, self.eta_min, taken % self.T_0 / self.T_0)
        begins, lengths = map(jnp.asarray, self.cycles())
        now = jnp.sum(taken >= begins * self.T_0) - 1
        done = (taken - begins[now] * self.T_0) / (lengths[now] * self.T_0)
        return _cosine(self.lr, self.eta_min, done)

    def cycles(self) -> tuple[list[float], list[float]]:
        """Where each cycle begins and how long it is, in units of the first."""
        begins, lengths = [0.0], [1.0]
        while begins[-1] < 2**31:
            begins.append(begins[-1] + lengths[-1])
            lengths.append(lengths[-1] * self.T_mult)
        return begins, lengths


def cosine_annealing_warm_restarts(
    lr: Numeric, T_0: Numeric, T_mult: int = 1, eta_min: Numeric = 0.0
) -> Schedule:
    """Falls along a cosine again and again, as `CosineAnnealingWarmRestarts`.

        eta_min + (lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    `T_cur` is how many steps the present cycle has taken, `T_i` how many it takes.

    Args:
        lr: the learning rate at the beginning of each cycle.
        T_0: length of the first cycle in steps, at least 1.
        T_mult: how many times as long each cycle is as the one before; an integer, at
            least 1.
        eta_min: the learning rate that each cycle falls to.

    Returns:
        A schedule; any of its numbers but `T_mult` may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array, or `T_mult` no integer.

    Source: PyTorch 2.13, followed to rounding; Loshchilov and Hutter 2016, arXiv
    1608.03983.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.cosine_annealing_warm_restarts(1.0, T_0=10, T_mult=2)
        >>> [round(float(rate(count)), 3) for count in (0, 5, 10, 20, 30)]
        [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    if not isinstance(T_mult, int):
        raise TypeError(f"T_mult is {T_mult!r}; expected an integer.")
    fixed_number("T_mult", T_mult, "[1, inf)")
    return WarmRestarts(
        fixed_number("lr", lr),
        fixed_number("T_0", T_0, "[1, inf)"),
        T_mult,
        fixed_number("eta_min", eta_min),
    )


def _cosine(start: Numeric, end: Numeric, half_waves: Any) -> Any:
    return end + (start - end) * (1 + jnp.cos(jnp.pi * half_waves)) / 2


class OneCycle(Schedule):
    """Up, down, and perhaps further: the corners are one step early, as in PyTorch."""

    values: tuple[Numeric, ...]
    total_steps: Numeric
    pct_start: Numeric
    anneal_strategy: str

    def __call__(self, count: Count | int) -> Any:
        rise = self.pct_start * self.total_steps - 1
        corners = [rise, 2 * rise][: len(self.values) - 2]
        curve = CURVES[self.anneal_strategy]
        return curve((0, *corners, self.total_steps - 1), self.values)(count)


def one_cycle_lr(
    max_lr: Numeric,
    total_steps: Numeric | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: Numeric = 0.3,
    anneal_strategy: str = "cos",
    *,
    div_factor: Numeric = 25.0,
    final_div_factor: Numeric = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """Rises to a peak and falls to nearly nothing, as `OneCycleLR`.

        scheduler = OneCycleLR(AdamW(model.parameters()), max_lr=0.01, total_steps=100)
        pytorch.adamw(
            lr=pytorch.one_cycle_lr(max_lr=0.01, total_steps=100),
            betas=(pytorch.one_cycle_momentum(total_steps=100), 0.999),
        )

        step:   0           pct_start * total - 1                          total - 1
        two:    max/div     max                                            max/div/final
        three:  max/div     max          max/div at 2 * pct_start * total - 2       same

    Args:
        max_lr: the highest learning rate; it takes the place of the optimizer's.
        total_steps: length of the whole in steps, more than 0; or give
        epochs: the number of epochs, and
        steps_per_epoch: the steps in each.
        pct_start: the fraction of the steps that the rise takes, in [0, 1].
        anneal_strategy: `"cos"` for half waves of the cosine, `"linear"` for lines.
        div_factor: by how much the first rate is smaller than the highest.
        final_div_factor: by how much the last rate is smaller than the first.
        three_phase: whether the fall is as long as the rise, and goes on after it.

    Returns:
        A schedule; any of its numbers may be an array. After the end the last rate
        stays, where PyTorch raises. PyTorch cycles the momentum at the same time unless
        told `cycle_momentum=False`; here `one_cycle_momentum` is a schedule of its own.

    Raises:
        ValueError: if an argument is outside its range, or the length is not given.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding; Smith and Topin 2017, arXiv 1708.07120.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.one_cycle_lr(1.0, total_steps=21, pct_start=1 / 3)
        >>> [round(float(rate(count)), 3) for count in (0, 3, 6, 13, 20)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    peak = fixed_number("max_lr", max_lr)
    first = peak / fixed_number("div_factor", div_factor, POSITIVE)
    last = first / fixed_number("final_div_factor", final_div_factor, POSITIVE)
    return OneCycle(
        (first, peak, first, last) if three_phase else (first, peak, last),
        _total(total_steps, epochs, steps_per_epoch),
        fixed_number("pct_start", pct_start, FRACTION),
        _known(anneal_strategy),
    )


def one_cycle_momentum(
    base_momentum: Numeric = 0.85,
    max_momentum: Numeric = 0.95,
    total_steps: Numeric | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: Numeric = 0.3,
    anneal_strategy: str = "cos",
    *,
    three_phase: bool = False,
) -> Schedule:
    """The momentum that `OneCycleLR` sets beside the learning rate.

    It is lowest where the rate of `one_cycle_lr`, given the same arguments, is highest.

    Args:
        base_momentum: the lowest momentum.
        max_momentum: the first and last momentum.
        total_steps: length of the whole in steps, more than 0; or give
        epochs: the number of epochs, and
        steps_per_epoch: the steps in each.
        pct_start: the fraction of the steps that the fall takes, in [0, 1].
        anneal_strategy: `"cos"` for half waves of the cosine, `"linear"` for lines.
        three_phase: whether the rise is as long as the fall.

    Returns:
        A schedule, for `momentum` or for the first of the `betas`.

    Raises:
        ValueError: if an argument is outside its range, or the length is not given.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> momentum = pytorch.one_cycle_momentum(total_steps=21, pct_start=1 / 3)
        >>> [round(float(momentum(count)), 3) for count in (0, 3, 6, 13, 20)]
        [0.95, 0.9, 0.85, 0.9, 0.95]
    """
    low = fixed_number("base_momentum", base_momentum)
    high = fixed_number("max_momentum", max_momentum)
    return OneCycle(
        (high, low, high, high) if three_phase else (high, low, high),
        _total(total_steps, epochs, steps_per_epoch),
        fixed_number("pct_start", pct_start, FRACTION),
        _known(anneal_strategy),
    )


def _total(
    total_steps: Numeric | None, epochs: int | None, steps_per_epoch: int | None
) -> Numeric:
    if total_steps is not None:
        return fixed_number("total_steps", total_steps, POSITIVE)
    if epochs is None or steps_per_epoch is None:
        raise ValueError(
            f"epochs is {epochs!r} and steps_per_epoch {steps_per_epoch!r}; expected "
            f"total_steps, or both of these."
        )
    each = fixed_number("steps_per_epoch", steps_per_epoch, POSITIVE)
    return fixed_number("epochs", epochs, POSITIVE) * each


def _known(strategy: str) -> str:
    if strategy not in CURVES:
        raise ValueError(
            f"anneal_strategy is {strategy!r}; expected one of {list(CURVES)}."
        )
    return strategy


def sequential_lr(
    schedulers: Sequence[ScheduleFn], milestones: Sequence[Numeric]
) -> Schedule:
    """Applies schedules one after another, as `SequentialLR`.

        opt = SGD(model.parameters(), lr=0.1)
        SequentialLR(opt, [LinearLR(opt), ExponentialLR(opt, 0.9)], milestones=[5])
        pytorch.sequential_lr(
            [pytorch.linear_lr(0.1), pytorch.exponential_lr(0.1, 0.9)], milestones=[5]
        )

    Args:
        schedulers: schedules or functions of the count, each with a learning rate of
            its own.
        milestones: the steps at which the second, third… schedule begins, in order;
            one fewer than schedules.

    Returns:
        A schedule: `jaxopt_lite.join_schedules`.

    Raises:
        ValueError: if the lengths do not fit or the milestones do not increase.
        TypeError: if a member cannot be called.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.sequential_lr(
        ...     [pytorch.constant_lr(1.0, 0.5), pytorch.exponential_lr(1.0, 0.5)], [2]
        ... )
        >>> [float(rate(count)) for count in (0, 1, 2, 3)]
        [0.5, 0.5, 1.0, 0.5]
    """
    return join_schedules(schedulers, milestones)
