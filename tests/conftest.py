"""Every test runs on eight CPU devices, in float32 unless it asks for `x64`."""

import os
from collections.abc import Iterator

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # for child processes too

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture
def x64() -> Iterator[None]:
    """Makes float64 the default within one test."""
    if hasattr(jax, "enable_x64"):
        enable_x64 = jax.enable_x64
    else:  # before JAX 0.8
        from jax.experimental import enable_x64
    with enable_x64(True):
        yield


@pytest.fixture
def unoptimized() -> Iterator[None]:
    """Lets XLA compile without its optimizations, for what is not about them."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True)
def full_tier(request: pytest.FixtureRequest) -> None:
    """Compiles what is marked `full` quickly, unless it is marked `optimized` too."""
    marked = request.node.get_closest_marker
    if marked("full") and not marked("optimized"):
        request.getfixturevalue("unoptimized")
