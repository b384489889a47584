"""Where this package differs from Optax on purpose: the one table, and its proof.

    python -m tests.differences     prints it as Markdown

Each row has a probe that is run on both libraries; `test_optax_parity.py` compares what
it finds with what the row says.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Difference(NamedTuple):
    """A behaviour, what a probe of it finds in each library, and the reason."""

    subject: str
    probe: Callable[[ModuleType], Any]
    ours: str
    optax: str
    reason: str


def outcome(probe: Callable[[ModuleType], Any], library: ModuleType) -> str:
    """What a probe finds in a library; an exception is a finding, too."""
    try:
        return str(probe(library))
    except Exception as error:
        return type(error).__name__


def _step(tx: Any, g: Any, p: Any = None) -> Any:
    """The first update."""
    return tx.update(g, tx.init(g if p is None else p), p)[0]


def _first_update(lib: ModuleType) -> str:
    return f"{_step(lib.scale_by_adam(b2=0.9999), jnp.float32(1)):.6f}"


def _moments(lib: ModuleType) -> Any:
    return lib.scale_by_adam().init(jnp.zeros(3, jnp.bfloat16)).nu.dtype


def _update_dtype(lib: ModuleType) -> Any:
    return _step(lib.scale(1.0), jnp.zeros(3, jnp.bfloat16), jnp.zeros(3)).dtype


def _clipped_in_float16(lib: ModuleType) -> str:
    g = jnp.array([300.0, 400.0], jnp.float16)
    return f"{_step(lib.clip_by_global_norm(1.0), g)[0]:.1f}"


def _clipped(lib: ModuleType) -> float:
    return float(_step(lib.clip_by_global_norm(1.0), jnp.float32(1e20)))


def _zero_clipped_to_zero(lib: ModuleType) -> float:
    return float(_step(lib.clip_by_global_norm(0.0), jnp.float32(0)))


def _first_variance(lib: ModuleType) -> str:
    u = _step(lib.scale_by_stddev(bias_correction=True), jnp.linspace(0.1, 1, 1000))
    return "finite" if bool(jnp.isfinite(u).all()) else "nan"


def _scheduled_b1(lib: ModuleType) -> str:
    return f"{_step(lib.adam(0.1, b1=lambda count: 0.5), jnp.float32(1)):.1f}"


def _traced_peak(lib: ModuleType) -> float:
    rate = jax.jit(lambda peak: lib.warmup_cosine_decay_schedule(0.0, peak, 1, 3)(1))
    return float(rate(2.0))


def _schedule_dtype(lib: ModuleType) -> Any:
    with jax.enable_x64(True):
        return lib.linear_schedule(0.0, 1.0, 3)(jnp.int32(1)).dtype


def _rebuilt(lib: ModuleType) -> bool:
    return lib.adam(0.1) == lib.adam(0.1)


def _other_shape(lib: ModuleType) -> Any:
    tx = lib.trace(0.9)
    return tx.update(jnp.ones(1), tx.init(jnp.zeros(3)))[0].shape


def _integers(lib: ModuleType) -> Any:
    return _step(lib.scale(2.0), jnp.int32(3)).dtype


def _other_containers(lib: ModuleType) -> str:
    tx = lib.add_decayed_weights(0.1, mask={"layers": [True]})
    p = {"layers": (jnp.float32(2),)}
    return f"{_step(tx, p, p)['layers'][0]:.1f}"


def _frozen(lib: ModuleType) -> int:
    p = {"w": jnp.zeros(10), "b": jnp.zeros(1)}
    tx = lib.chain(lib.adam(0.1), lib.freeze({"w": True, "b": False}))
    return sum(x.size for x in jax.tree.leaves(tx.init(p)))


def _update_is_none(lib: ModuleType) -> float:
    return float(lib.apply_updates({"w": jnp.float32(1)}, {"w": None})["w"])


def _uphill(lib: ModuleType) -> str:
    return f"{_step(lib.sgd(-1.0), jnp.float32(1)):.1f}"


def _diverging_mean(lib: ModuleType) -> str:
    return f"{_step(lib.ema(1.5, debias=False), jnp.float32(1)):.1f}"


def _early_beginning(lib: ModuleType) -> float:
    return float(lib.linear_schedule(1.0, 0.0, 10, transition_begin=-5)(0))


def _decay_to_nothing(lib: ModuleType) -> float:
    return float(lib.exponential_decay(1.0, 10, decay_rate=0.0)(10))


def _monitored(lib: ModuleType) -> list[str]:
    return [*lib.monitor({"norm": jnp.sum}).init(jnp.zeros(1)).measurements]


def _key_of_noise(lib: ModuleType) -> Any:
    return lib.add_noise(0.1, 0.5, 0).init(jnp.zeros(1)).rng_key.dtype


DIFFERENCES = (
    Difference(
        "Adam's first float32 update at g = 1, b2 = 0.9999",
        _first_update,
        "1.000000",
        "1.000083",
        "1 - b**t is formed without cancellation",
    ),
    Difference(
        "measurements in the first state of monitor",
        _monitored,
        "['norm']",
        "[]",
        "a state never changes its structure, so that scan and jit take it",
    ),
    Difference(
        "the key of add_noise in the state",
        _key_of_noise,
        "uint32",
        "key<fry>",
        "every checkpoint takes raw data, and not all take typed keys",
    ),
    Difference(
        "moments of a bfloat16 parameter",
        _moments,
        "float32",
        "bfloat16",
        "a bfloat16 second moment cannot decay at b2 = 0.999",
    ),
    Difference(
        "update from a bfloat16 gradient of a float32 parameter",
        _update_dtype,
        "float32",
        "bfloat16",
        "rounding it to bfloat16 would discard digits that the parameter has",
    ),
    Difference(
        "clip_by_global_norm(1) of float16 [300, 400], first element",
        _clipped_in_float16,
        "0.6",
        "0.0",
        "squares are summed in at least float32",
    ),
    Difference(
        "clip_by_global_norm(1) of a gradient of 1e20",
        _clipped,
        "1.0",
        "0.0",
        "and relative to a large unit: no overflow up to 1e20",
    ),
    Difference(
        "clip_by_global_norm(0) of a zero gradient",
        _zero_clipped_to_zero,
        "0.0",
        "nan",
        "a zero gradient has nothing to divide by",
    ),
    Difference(
        "first update of scale_by_stddev with bias correction",
        _first_variance,
        "finite",
        "nan",
        "a variance that rounding makes negative counts as zero",
    ),
    Difference(
        "a schedule as b1",
        _scheduled_b1,
        "-0.1",
        "TypeError",
        "any number may be a schedule or by_path; Optax needs inject_hyperparams",
    ),
    Difference(
        "warmup_cosine_decay_schedule with a traced peak",
        _traced_peak,
        "2.0",
        "TracerBoolConversionError",
        "a schedule's numbers can be swept and differentiated",
    ),
    Difference(
        "linear_schedule at an int32 count, under jax_enable_x64",
        _schedule_dtype,
        "float64",
        "float32",
        "a rate for float64 parameters has float64 digits",
    ),
    Difference(
        "adam(0.1) == adam(0.1)",
        _rebuilt,
        "True",
        "False",
        "a transformation is a value: rebuilding it does not retrace",
    ),
    Difference(
        "gradient of shape (1,) for a trace of shape (3,)",
        _other_shape,
        "ValueError",
        "(3,)",
        "broadcasting hides the mistake",
    ),
    Difference(
        "integer gradient",
        _integers,
        "TypeError",
        "float32",
        "no parameter that is trained is an integer",
    ),
    Difference(
        "mask in a list for parameters in a tuple",
        _other_containers,
        "2.2",
        "ValueError",
        "masks and labels are matched by path, not by container",
    ),
    Difference(
        "numbers kept by chain(adam, freeze) for 1 parameter beside 10 frozen",
        _frozen,
        "3",
        "23",
        "frozen parameters take no part in a chain, in moments, decay or norms",
    ),
    Difference(
        "apply_updates where the update is None",
        _update_is_none,
        "1.0",
        "TypeError",
        "the parameter stays as it is",
    ),
    Difference(
        "negative learning rate",
        _uphill,
        "ValueError",
        "1.0",
        "it would ascend",
    ),
    Difference(
        "decay of a moving mean above 1",
        _diverging_mean,
        "ValueError",
        "-0.5",
        "it would diverge",
    ),
    Difference(
        "linear_schedule that begins before step 0",
        _early_beginning,
        "ValueError",
        "1.0",
        "Optax takes 0 instead, and says so in a log only",
    ),
    Difference(
        "exponential_decay with decay_rate=0",
        _decay_to_nothing,
        "ValueError",
        "1.0",
        "Optax takes it for no decay at all",
    ),
)


def markdown() -> str:
    """The table, as it stands in the README."""
    rows = [("", "jaxopt_lite", f"Optax {optax.__version__}", "Why"), ("---",) * 4]
    rows += [(d.subject, d.ours, d.optax, d.reason) for d in DIFFERENCES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(markdown())
