"""Imports every module of the installed package and checks what that alone does.

It must load nothing but the package and what JAX, chex and the standard library load,
and must start no backend: `jax.distributed.initialize` has to work after it.
"""

import importlib
import pkgutil
import socket
import sys

import chex  # noqa: F401
import jax
import jax.scipy
from jax._src import xla_bridge


def loaded() -> set[str]:
    """The top-level names of all modules loaded so far."""
    return {name.partition(".")[0] for name in sys.modules}


before = loaded()
package = importlib.import_module("jaxopt_lite")
for module in pkgutil.walk_packages(package.__path__, "jaxopt_lite."):
    importlib.import_module(module.name)

foreign = loaded() - before - sys.stdlib_module_names - {"jaxopt_lite"}
assert not foreign, f"importing jaxopt_lite loads {sorted(foreign)}"
assert not xla_bridge.backends_are_initialized(), "importing jaxopt_lite starts JAX"

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=1, process_id=0)
assert jax.process_count() == 1
