"""The optimizers: rules one after the other, each fed with the updates of the last."""

from collections.abc import Iterator

from tests.reference.rules import (
    Array,
    Number,
    Stream,
    add_decayed_weights,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    trace,
)


def sgd(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    momentum: Number | None = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    u = gradients
    if momentum is not None:
        u = trace(u, parameters, decay=momentum, nesterov=nesterov)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def adagrad(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    initial_accumulator_value: float = 0.1,
    eps: Number = 1e-7,
) -> Iterator[Array]:
    u = scale_by_rss(
        gradients,
        parameters,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def rmsprop(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    decay: Number = 0.9,
    eps: Number = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Number | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> Iterator[Array]:
    u = (scale_by_stddev if centered else scale_by_rms)(
        gradients,
        parameters,
        decay=decay,
        eps=eps,
        initial_scale=initial_scale,
        eps_in_sqrt=eps_in_sqrt,
        bias_correction=bias_correction,
    )
    u = scale_by_learning_rate(u, parameters, learning_rate=learning_rate)
    if momentum is not None:
        u = trace(u, parameters, decay=momentum, nesterov=nesterov)
    return u


def adam(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    nesterov: bool = False,
) -> Iterator[Array]:
    u = scale_by_adam(
        gradients,
        parameters,
        b1=b1,
        b2=b2,
        eps=eps,
        eps_root=eps_root,
        nesterov=nesterov,
    )
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def adamw(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    weight_decay: Number = 1e-4,
    mask: bool = True,
    nesterov: bool = False,
) -> Iterator[Array]:
    u = scale_by_adam(
        gradients,
        parameters,
        b1=b1,
        b2=b2,
        eps=eps,
        eps_root=eps_root,
        nesterov=nesterov,
    )
    u = add_decayed_weights(u, parameters, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def nadam(
    gradients: Stream, parameters: Stream, learning_rate: Number, **numbers: Number
) -> Iterator[Array]:
    return adam(gradients, parameters, learning_rate, nesterov=True, **numbers)


def nadamw(
    gradients: Stream, parameters: Stream, learning_rate: Number, **numbers: Number
) -> Iterator[Array]:
    return adamw(gradients, parameters, learning_rate, nesterov=True, **numbers)
