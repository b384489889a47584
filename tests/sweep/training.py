"""A training small enough to be run by every test of sweeps."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl

X = np.random.default_rng(0).normal(size=(16, 3))
Y = np.sin(X.sum(1))


def trainer(steps=10, dtype=jnp.float32):
    """A function that fits two layers to a sine with AdamW."""
    x, y = jnp.asarray(X, dtype), jnp.asarray(Y, dtype)

    def loss(params):
        hidden = jnp.tanh(x @ params["hidden"])
        return jnp.mean((hidden @ params["head"] - y) ** 2)

    def train(hyperparams, key):
        tx = jl.adamw(**hyperparams)
        first, second = jax.random.split(key)
        params = {
            "hidden": jax.random.normal(first, (3, 4), dtype) / 2,
            "head": jax.random.normal(second, (4,), dtype) / 2,
        }

        def step(carry, _):
            params, state = carry
            value, grads = jax.value_and_grad(loss)(params)
            updates, state = tx.update(grads, state, params)
            return (jl.apply_updates(params, updates), state), value

        carry = (params, tx.init(params))
        (params, _), losses = jax.lax.scan(step, carry, length=steps)
        return {"loss": loss(params), "losses": losses}

    return train


def descend(hyperparams, key):
    """Ten steps of gradient descent on a square; diverges above a rate of 1."""

    def step(x, _):
        x = x * (1 - 2 * hyperparams["learning_rate"])
        return x, x**2

    x, losses = jax.lax.scan(step, 1e3 * (1 + jax.random.uniform(key)), length=10)
    return {"loss": x**2, "losses": losses}


def message(error, function, *args, **kwargs):
    """The text of the one error that a call raises."""
    try:
        function(*args, **kwargs)
    except error as found:
        return str(found)
    raise AssertionError(f"{function} raised nothing")
