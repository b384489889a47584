"""Train with JAX alone: parameters in a dict, the whole run one `jit` of a `lax.scan`.

Learns which of two interleaved spirals a point lies on; no framework, no Python loop.

    python examples/plain_jax.py
"""

import argparse

import jax
import jax.numpy as jnp

import jaxopt_lite as jl


def spirals(key, points: int):
    """Points on two spirals, half a turn apart, with the spiral each one lies on."""
    of_point, noise = jax.random.split(key)
    radius = jnp.sqrt(jax.random.uniform(of_point, (points,), minval=0.02))
    label = jnp.arange(points) % 2
    angle = 9.0 * radius + jnp.pi * label
    x = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return x + 0.02 * jax.random.normal(noise, x.shape), label


def init(key, widths=(2, 64, 64, 1)):
    """One dict per layer: `layers/0/kernel`, `layers/0/bias`, …"""
    he = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, len(widths) - 1)
    shapes = zip(widths, widths[1:], strict=False)
    return {
        "layers": [
            {"kernel": he(key, shape), "bias": jnp.zeros(shape[1])}
            for key, shape in zip(keys, shapes, strict=True)
        ]
    }


def logits(params, x):
    *hidden, last = params["layers"]
    for layer in hidden:
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    return (x @ last["kernel"] + last["bias"])[:, 0]


def cross_entropy(params, x, label):
    return jnp.mean(jax.nn.softplus((1 - 2 * label) * logits(params, x)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a quarter of the steps")
    steps = 500 if parser.parse_args().smoke else 2000

    data, weights = jax.random.split(jax.random.key(0))
    x, label = spirals(data, 1000)
    train, test = (x[:800], label[:800]), (x[800:], label[800:])
    tx = jl.chain(
        jl.clip_by_global_norm(1.0),
        jl.adamw(jl.cosine_decay_schedule(0.01, steps), mask=jl.weights_only),
    )

    def step(carry, _):
        params, state = carry
        loss, grads = jax.value_and_grad(cross_entropy)(params, *train)
        updates, state = tx.update(grads, state, params)
        return (jl.apply_updates(params, updates), state), loss

    @jax.jit
    def run(params):
        return jax.lax.scan(step, (params, tx.init(params)), length=steps)

    (params, _), losses = run(init(weights))
    correct = jnp.mean((logits(params, test[0]) > 0) == test[1])
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.5f} in {steps} steps")
    print(f"test accuracy {correct:.2%}")


if __name__ == "__main__":
    main()
