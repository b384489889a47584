"""Train on eight devices, AdamW's state whole on each or split between them: ZeRO-1.

The devices are made of this computer's processor. Each has the parameters and an eighth
of the batch. Trains a network on scikit-learn's scanned digits three times: with the
state on every device, with `zero1`, and by hand in `shard_map`. Prints what each device
keeps, and what they send each other in a step.

    python examples/zero1.py
"""

import argparse
import os
import re
from collections import Counter

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
# A device that waits for the others keeps a thread: with fewer they wait for ever.
os.environ["NPROC"] = "16"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxopt_lite as jl

BATCH = 256


def start(width: int, seed: int) -> dict[str, np.ndarray]:
    """The parameters that a network begins with."""
    rng = np.random.default_rng(seed)

    def kernel(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns), scale=rows**-0.5).astype(np.float32)

    return {
        "first": kernel(64, width),
        "first_bias": np.zeros(width, np.float32),
        "second": kernel(width, width),
        "second_bias": np.zeros(width, np.float32),
        "head": kernel(width, 10),
    }


def logits(params, x):
    x = jax.nn.relu(x @ params["first"] + params["first_bias"])
    x = jax.nn.relu(x @ params["second"] + params["second_bias"])
    return x @ params["head"]


def cross_entropy(params, x, labels):
    log_p = jax.nn.log_softmax(logits(params, x))
    return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=-1))


def stepper(tx):
    """A step as it is written for one device; XLA sends what must be sent."""

    def step(params, state, x, labels):
        grads = jax.grad(cross_entropy)(params, x, labels)
        updates, state = tx.update(grads, state, params)
        return jl.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def stepper_by_hand(tx, mesh, places):
    """A step as each device takes it, on its eighth of every array of the state."""

    def scattered(g):
        return jax.lax.psum_scatter(g, "data", tiled=True) / mesh.size

    def own(p):
        rows = len(p) // mesh.size
        first = jax.lax.axis_index("data") * rows
        return jax.lax.dynamic_slice_in_dim(p, first, rows)

    def gathered(p):
        return jax.lax.all_gather(p, "data", tiled=True)

    def step(params, state, x, labels):
        grads = jax.grad(cross_entropy)(params, x, labels)
        parts = jax.tree.map(own, params)
        updates, state = tx.update(jax.tree.map(scattered, grads), state, parts)
        parts = jl.apply_updates(parts, updates)
        return jax.tree.map(gathered, parts), state

    whole, split = PartitionSpec(), PartitionSpec("data")
    specs = jax.tree.map(lambda place: place.spec, places)
    split_step = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(whole, specs, split, split),
        out_specs=(whole, specs),
        check_vma=False,  # what is gathered is the same everywhere
    )
    return jax.jit(split_step, donate_argnums=(0, 1))


def on_one_device(tree) -> int:
    """How many bytes of a tree the first device holds."""
    return sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(tree))


def messages(compiled) -> str:
    """How many arrays the devices send each other in a compiled step."""
    found = Counter()
    for arrays, kind in re.findall(
        r"= (\S+|\(.*?\)) (all-reduce|reduce-scatter|all-gather)(?:-start)?\(",
        compiled.as_text(),
    ):
        found[kind] += len(re.findall(r"\w+\[", arrays))
    return "\n".join(f"{n} {kind}" for kind, n in sorted(found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a small network, 40 steps"
    )
    args = parser.parse_args()
    width, steps = (128, 40) if args.smoke else (512, 200)

    mesh = jax.make_mesh((8,), ("data",), (AxisType.Auto,))
    everywhere = NamedSharding(mesh, PartitionSpec())
    by_row = NamedSharding(mesh, PartitionSpec("data"))

    digits = load_digits()
    x, labels = (digits.data / 16).astype(np.float32), digits.target
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:1437], order[1437:]

    adamw = jl.adamw(2e-3, weight_decay=0.01)
    zero1 = jl.sharding.zero1(adamw, everywhere)
    params = start(width, seed=0)
    places = jl.sharding.state_sharding(adamw, params, everywhere, zero_axis="data")
    ways = {
        "whole": (adamw, stepper(adamw)),
        "zero1": (zero1, stepper(zero1)),
        "shard_map": (zero1, stepper_by_hand(adamw, mesh, places)),
    }
    table = Table("state", title=f"AdamW, {steps} steps on {mesh.size} devices")
    for heading in ("parameters", "bytes", "test accuracy"):
        table.add_column(heading, justify="right")
    table.add_column("arrays sent in a step", no_wrap=True)
    for name, (tx, step) in ways.items():
        params = jax.device_put(start(width, seed=0), everywhere)
        state, rng = tx.init(params), np.random.default_rng(1)
        batch = jax.device_put((x[:BATCH], labels[:BATCH]), by_row)
        compiled = step.lower(params, state, *batch).compile()
        for _ in tqdm(range(steps), name, unit="step", mininterval=0.5):
            rows = rng.choice(train, BATCH)
            batch = jax.device_put((x[rows], labels[rows]), by_row)
            params, state = compiled(params, state, *batch)
        accuracy = np.mean(np.argmax(logits(params, x[test]), axis=1) == labels[test])
        table.add_row(
            name,
            f"{on_one_device(params):,}",
            f"{on_one_device(state):,}",
            f"{accuracy:.2%}",
            messages(compiled),
        )
    Console().print(table)
    print("parameters and state: bytes on each device")


if __name__ == "__main__":
    main()
