"""PyTorch's learning rate schedulers, as schedules of the step."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import fixed_number
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.schedules.arithmetic import (
    FRACTION,
    POSITIVE,
    as_float,
    exponential,
)
from jaxopt_lite.schedules.curves import (
    ExponentialDecay,
    Linear,
    Polynomial,
    Staircase,
)


def step_lr(lr: Numeric, step_size: Numeric, gamma: Numeric = 0.1) -> Schedule:
    """Multiplies by a factor every so many steps, as `StepLR`.

        scheduler = StepLR(SGD(model.parameters(), lr=0.1), step_size=30)
        pytorch.sgd(lr=pytorch.step_lr(0.1, step_size=30))

        lr * gamma**(count // step_size)

    Args:
        lr: the learning rate of the first step.
        step_size: for how many steps a rate stays, more than 0.
        gamma: the factor, at least 0.

    Returns:
        A schedule; any of its numbers may be an array. `count` is how often PyTorch's
        `scheduler.step()` has been called: if that is once per epoch, multiply
        `step_size` by the steps of an epoch.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.step_lr(1.0, step_size=3, gamma=0.5)
        >>> [float(rate(count)) for count in (0, 2, 3, 6)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return Staircase(
        fixed_number("lr", lr),
        fixed_number("step_size", step_size, POSITIVE),
        fixed_number("gamma", gamma),
        0.0,
        None,
    )


class MultiStep(Schedule):
    """A factor at each of some steps."""

    lr: Numeric
    milestones: tuple[Numeric, ...]
    gamma: Numeric

    def __call__(self, count: Count | int) -> Any:
        passed = jnp.zeros((), jnp.result_type(float))
        for milestone in self.milestones:
            passed += as_float(count) >= milestone
        return self.lr * exponential(self.gamma, passed)


def multi_step_lr(
    lr: Numeric, milestones: Sequence[Numeric], gamma: Numeric = 0.1
) -> Schedule:
    """Multiplies by a factor at each of some steps, as `MultiStepLR`.

        lr * gamma**(how many milestones have been reached)

    Args:
        lr: the learning rate before the first milestone.
        milestones: steps, at least 0, in any order; one that occurs twice counts twice.
        gamma: the factor, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.multi_step_lr(1.0, milestones=[3, 8], gamma=0.5)
        >>> [float(rate(count)) for count in (0, 3, 7, 8)]
        [1.0, 0.5, 0.5, 0.25]
    """
    return MultiStep(
        fixed_number("lr", lr),
        tuple(fixed_number(f"milestones[{i}]", m) for i, m in enumerate(milestones)),
        fixed_number("gamma", gamma),
    )


class Held(Schedule):
    """A fraction of the number, and then the number."""

    lr: Numeric
    factor: Numeric
    total_iters: Numeric

    def __call__(self, count: Count | int) -> Any:
        early = as_float(count) < self.total_iters
        return self.lr * jnp.where(early, self.factor, 1.0)


def constant_lr(
    lr: Numeric, factor: Numeric = 1 / 3, total_iters: Numeric = 5
) -> Schedule:
    """Holds a fraction of the learning rate for some steps, as `ConstantLR`.

        factor * lr    while count < total_iters, then lr

    Args:
        lr: the learning rate from `total_iters` on.
        factor: the fraction before that, in [0, 1].
        total_iters: for how many steps, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding where `factor` and `total_iters` are
    positive; with a 0 there, PyTorch divides by it or stays at `factor * lr` for ever.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.constant_lr(1.0, factor=0.5, total_iters=4)
        >>> [float(rate(count)) for count in (0, 3, 4)]
        [0.5, 0.5, 1.0]
    """
    return Held(
        fixed_number("lr", lr),
        fixed_number("factor", factor, FRACTION),
        fixed_number("total_iters", total_iters),
    )


class LinearFactor(Schedule):
    """A straight line between two fractions of a number."""

    lr: Numeric
    start_factor: Numeric
    end_factor: Numeric
    total_iters: Numeric

    def __call__(self, count: Count | int) -> Any:
        line = Linear(self.start_factor, self.end_factor, self.total_iters, 0.0)
        return self.lr * line(count)


def linear_lr(
    lr: Numeric,
    start_factor: Numeric = 1 / 3,
    end_factor: Numeric = 1.0,
    total_iters: Numeric = 5,
) -> Schedule:
    """Goes in a straight line between two fractions of the rate, as `LinearLR`.

        lr * (start + (end - start) * min(count / total_iters, 1))

    Args:
        lr: the learning rate of which these are fractions.
        start_factor: the first fraction, in (0, 1].
        end_factor: the fraction from `total_iters` on, in [0, 1].
        total_iters: length in steps, at least 0; with 0 the first fraction stays.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.linear_lr(1.0, start_factor=0.5, total_iters=4)
        >>> [float(rate(count)) for count in (0, 2, 4, 9)]
        [0.5, 0.75, 1.0, 1.0]
    """
    return LinearFactor(
        fixed_number("lr", lr),
        fixed_number("start_factor", start_factor, "(0, 1]"),
        fixed_number("end_factor", end_factor, FRACTION),
        fixed_number("total_iters", total_iters),
    )


def exponential_lr(lr: Numeric, gamma: Numeric) -> Schedule:
    """Multiplies by a factor at every step, as `ExponentialLR`.

        lr * gamma**count

    Args:
        lr: the learning rate of the first step.
        gamma: the factor, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.exponential_lr(1.0, gamma=0.5)
        >>> [float(rate(count)) for count in (0, 1, 2)]
        [1.0, 0.5, 0.25]
    """
    return ExponentialDecay(
        fixed_number("lr", lr), 1.0, fixed_number("gamma", gamma), 0.0, None
    )


def polynomial_lr(
    lr: Numeric, total_iters: Numeric = 5, power: Numeric = 1.0
) -> Schedule:
    """Falls to zero along a power of the steps left, as `PolynomialLR`.

        lr * (1 - min(count / total_iters, 1))**power

    Args:
        lr: the learning rate of the first step.
        total_iters: length in steps, more than 0.
        power: 1 for a straight line, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: PyTorch 2.13, followed to rounding.

    Example:
        >>> from jaxopt_lite.interop import pytorch
        >>> rate = pytorch.polynomial_lr(1.0, total_iters=4, power=2.0)
        >>> [float(rate(count)) for count in (0, 2, 4, 9)]
        [1.0, 0.25, 0.0, 0.0]
    """
    return Polynomial(
        fixed_number("lr", lr),
        0.0,
        fixed_number("power", power),
        fixed_number("total_iters", total_iters, POSITIVE),
        0.0,
    )
