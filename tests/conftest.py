"""Every test runs on eight CPU devices, in float32 unless it asks for `x64`."""

import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # for child processes too

import jax
import pytest
from jax._src import compiler

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


@pytest.fixture(autouse=True)
def unoptimized(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Lets XLA compile in a third of the time, unless a test is marked `optimized`."""
    if request.node.get_closest_marker("optimized"):
        yield
        return
    get = compiler.get_compile_options

    def get_quick(*args: Any, **kwargs: Any) -> Any:
        options = get(*args, **kwargs)
        # Most of the time that is left goes into these; no public option reaches them.
        options.env_option_overrides += [("xla_cpu_use_fusion_emitters", False)]
        return options

    monkeypatch.setattr(compiler, "get_compile_options", get_quick)
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
