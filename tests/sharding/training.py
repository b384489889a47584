"""A training with ZeRO-1 that saves every step; `test_processes.py` starts it.

python -m tests.sharding.training FOLDER [--die-at STEP] [--port N --process I]
"""

import argparse
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

import jaxopt_lite as jl
from tests.sharding.meshes import place, tree

SHAPES = {"w": (16, 32), "b": (32,), "v": (32, 8)}
STEPS = 8
TX = jl.chain(jl.clip_by_global_norm(0.5), jl.adamw(0.05))


def loss(params, x):
    y = jnp.tanh(x @ params["w"] + params["b"]) @ params["v"]
    return jnp.mean(jnp.square(y - 1))


def batch(step):
    """The batch of a step, the same in every process."""
    return tree({"x": (32, 16)}, seed=100 + step)["x"]


def stepper(tx):
    def step(params, state, x):
        u, state = tx.update(jax.grad(loss)(params, x), state, params)
        return jl.apply_updates(params, u), state

    return jax.jit(step)


def spread(x, sharding):
    """An array of which every process has a copy, on the devices of all."""
    return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--die-at", type=int)
    parser.add_argument("--port", type=int)
    parser.add_argument("--process", type=int)
    args = parser.parse_args()
    if args.port:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{args.port}", 2, args.process)
    kinds = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((jax.device_count(),), ("data",), kinds)
    everywhere, tx = place(mesh), jl.sharding.zero1(TX, place(mesh))
    params = jax.tree.map(lambda x: spread(x, everywhere), tree(SHAPES))
    state, step, first = tx.init(params), stepper(tx), 0
    with ocp.CheckpointManager(os.path.abspath(args.folder)) as manager:
        if (last := manager.latest_step()) is not None:
            like = jax.tree.map(ocp.utils.to_shape_dtype_struct, (params, state))
            held = manager.restore(last, args=ocp.args.StandardRestore(like))
            (params, state), first = held, last + 1
        print(f"{jax.device_count()} devices, begins with step {first}", flush=True)
        for i in range(first, STEPS):
            x = spread(batch(i), place(mesh, "data"))
            params, state = step(params, state, x)
            if i == args.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            manager.save(i, args=ocp.args.StandardSave((params, state)))
            manager.wait_until_finished()
    if jax.process_count() == 1:
        leaves = jax.tree.leaves((params, state))
        np.savez(f"{args.folder}.npz", *leaves)


if __name__ == "__main__":
    main()
