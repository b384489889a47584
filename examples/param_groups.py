"""Train the head fast, the body slowly, its biases undecayed, the embedding never.

Prints the groups as the optimizer sees them, and shows that the frozen embedding
neither moved nor takes a byte of state.

    python examples/param_groups.py
"""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp

import jaxopt_lite as jl

VOCABULARY, LENGTH = 50, 15


class Classifier(nn.Module):
    """Which half of the vocabulary do more of the tokens come from?"""

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(VOCABULARY, 64, name="embedding")(tokens).mean(axis=1)
        x = nn.relu(nn.LayerNorm(name="norm")(nn.Dense(64, name="body")(x)))
        return nn.Dense(1, name="head")(x)[:, 0]


def sentences(key, count: int):
    tokens = jax.random.randint(key, (count, LENGTH), 0, VOCABULARY)
    return tokens, (tokens < VOCABULARY // 2).mean(axis=1) > 0.5


def grouped(learning_rate: float) -> jl.GradientTransformation:
    """AdamW whose numbers depend on the path; what is frozen it never sees."""
    return jl.chain(
        jl.freeze(jl.by_path({"embedding/*": True, "*": False})),
        jl.adamw(
            learning_rate=jl.by_path({"head/*": learning_rate, "*": learning_rate / 5}),
            weight_decay=jl.by_path({"bias": 0.0, "norm/*": 0.0, "*": 0.01}),
        ),
    )


def farthest(new, old) -> float:
    return float(jnp.abs(new - old).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a quarter of the steps")
    steps = 250 if parser.parse_args().smoke else 1000

    weights, data, held_out = jax.random.split(jax.random.key(0), 3)
    tokens, label = sentences(held_out, 1000)
    model = Classifier()
    params = model.init(weights, tokens)["params"]
    tx = grouped(learning_rate=0.01)
    jl.summary(tx, params)

    @jax.jit
    def step(params, state, key):
        tokens, label = sentences(key, 128)

        def cross_entropy(params):
            logits = model.apply({"params": params}, tokens)
            return jnp.mean(jax.nn.softplus((1 - 2 * label) * logits))

        grads = jax.grad(cross_entropy)(params)
        updates, state = tx.update(grads, state, params)
        return jl.apply_updates(params, updates), state

    start, state = params, tx.init(params)
    for key in jax.random.split(data, steps):
        params, state = step(params, state, key)
    guess = model.apply({"params": params}, tokens) > 0
    print(f"test accuracy {jnp.mean(guess == label):.2%}")

    for name in params:
        moved = jax.tree.map(farthest, params[name], start[name])
        print(f"{name:9} moved by at most {max(jax.tree.leaves(moved)):.4f}")
    slots = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(state)]
    frozen = sum("embedding" in slot for slot in slots)
    print(f"{frozen} of {len(slots)} arrays of state belong to the embedding")


if __name__ == "__main__":
    main()
