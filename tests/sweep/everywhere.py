"""One sweep on all devices of all processes; `test_devices.py` starts it.

python -m tests.sweep.everywhere FILE [--path FILE] [--port N --process I]
"""

import argparse

import jax
import numpy as np

from jaxopt_lite import sweep
from tests.sweep.training import descend

SPACE = sweep.grid(learning_rate=[0.05, 0.1, 0.2, 0.4, 0.8, 0.9, 1e6], kind=["x", "y"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--path")
    parser.add_argument("--port")
    parser.add_argument("--process", type=int)
    args = parser.parse_args()
    if args.port:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{args.port}", 2, args.process)
    result = sweep.run(
        descend,
        SPACE,
        key=jax.random.key(7),
        seeds=3,
        batch_size=8,
        path=args.path,
    )
    print(f"{jax.device_count()} devices, {result.resumed} resumed, {result}")
    np.savez(args.out, **result.metrics)


if __name__ == "__main__":
    main()
