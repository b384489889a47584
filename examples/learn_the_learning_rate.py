"""Learn AdamW's learning rate and weight decay by gradients through training itself.

A small network is trained on 300 scanned digits, over and over. After each training the
gradient of its validation loss, with respect to the optimizer, says which learning rate
and weight decay would have been better; Adam moves their logarithms there.

    python examples/learn_the_learning_rate.py
"""

import argparse

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxopt_lite as jl


def digits():
    """300 digits to train on, 500 to judge the optimizer by, the rest to test."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    x, rest_x, y, rest_y = train_test_split(x, y, train_size=300, random_state=0)
    parts = train_test_split(rest_x, rest_y, train_size=500, random_state=0)
    validation_x, test_x, validation_y, test_y = parts
    return (x, y), (validation_x, validation_y), (test_x, test_y)


def init(key, widths=(64, 64, 10)):
    he = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, len(widths) - 1)
    shapes = zip(widths, widths[1:], strict=False)
    return [
        {"kernel": he(key, shape), "bias": jnp.zeros(shape[1])}
        for key, shape in zip(keys, shapes, strict=True)
    ]


def logits(params, x):
    hidden, head = params
    x = jax.nn.relu(x @ hidden["kernel"] + hidden["bias"])
    return x @ head["kernel"] + head["bias"]


def cross_entropy(params, x, y):
    log_p = jax.nn.log_softmax(logits(params, x))
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def accuracy(params, x, y):
    return (logits(params, x).argmax(-1) == y).mean()


def trained(tx, params, data, steps: int):
    """The parameters after training with an optimizer: differentiable in it."""

    def step(carry, _):
        params, state = carry
        grads = jax.grad(cross_entropy)(params, *data)
        updates, state = tx.update(grads, state, params)
        return (jl.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), length=steps)
    return params


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="fewer, shorter trainings")
    trainings, steps = (25, 40) if parser.parse_args().smoke else (60, 100)

    train, validation, test = digits()
    start = init(jax.random.key(0))

    def validation_loss(logs):
        tx = jax.tree.map(jnp.exp, logs)
        params = trained(tx, start, train, steps)
        return cross_entropy(params, *validation), accuracy(params, *test)

    tx = jl.adamw(jnp.array(1e-4), weight_decay=jnp.array(1.0))
    # An optimizer is a pytree of its arrays. Here it holds their logarithms, and is
    # itself what the optimizer outside moves.
    logs = jax.tree.map(jnp.log, tx)
    outer = jl.adam(jl.cosine_decay_schedule(0.3, trainings), b1=0.5, b2=0.9)

    @jax.jit
    def improve(logs, state):
        slope = jax.value_and_grad(validation_loss, has_aux=True)
        (loss, correct), slopes = slope(logs)
        updates, state = outer.update(slopes, state, logs)
        return jl.apply_updates(logs, updates), state, loss, correct

    print("learning rate  weight decay  validation loss  test accuracy")
    state = outer.init(logs)
    for i in range(trainings):
        tx = jax.tree.map(jnp.exp, logs)
        logs, state, loss, correct = improve(logs, state)
        if i % 10 == 0 or i == trainings - 1:
            numbers = jl.get_hyperparams(tx, tx.init(start))
            rate, decay = numbers["2/learning_rate"], numbers["1/weight_decay"]
            print(f"{rate:13.5f} {decay:13.4f} {loss:16.4f} {correct:14.2%}")


if __name__ == "__main__":
    main()
