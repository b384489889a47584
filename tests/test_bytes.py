"""What a step moves and allocates: as little as the goals, and no more than Optax's.

XLA counts the bytes of a compiled step, the same on every run. Times are measured by
`python -m benchmarks`.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_lite as jl
from benchmarks import memory, peers, pipelines, step, trees
from benchmarks.training import compiled, cost
from tests.table import COMBINED, TABLE, AllOfOptax, Case

pytestmark = pytest.mark.optimized

MATRICES = {"first": trees.array(384, 512), "second": trees.array(384, 512)}
"""Of one shape, so that what XLA writes once for both would show."""

TREES = {
    "matrices": MATRICES,
    "transformer": {
        "embedding": trees.array(2048, 256),
        "attention": trees.linear(256, 768),
        "projection": trees.linear(256, 256),
        "up": trees.linear(256, 1024),
        "down": trees.linear(1024, 256),
    },
    "vectors": {"first": trees.array(300_000), "second": trees.array(100_000)},
}

SLACK = 0.05  # scalars, and what is as long as a row
SIGNS = {"galore": 0.2}
"""Where signs are kept when directions are found: more bytes, but not in most steps."""

ORDER = dict.fromkeys(
    [("optimistic_adam", "transformer"), ("optimistic_adam_v2", "transformer")], 0.45
)
"""Where the order in which XLA takes leaves decides how many temporaries it holds at
once."""

TURNS = {"scale_by_lbfgs": 10}
"""How often the loops of Optax turn, where it has some; XLA counts them once."""


def of_step(tx, extra, tree=MATRICES, library=jl):
    """The cost of a step, and the bytes of its state, per parameter."""
    tx = optax.with_extra_args_support(tx) if library is optax else tx
    keywords = {
        name: jnp.float32(x(0)) if callable(x) else x for name, x in extra.items()
    }

    def update(params, state, grads):
        updates, state = tx.update(grads, state, params, **keywords)
        return library.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, tree)
    n = trees.size(tree)
    found = cost(compiled(update, tree, state, tree), n, [])
    return found, trees.nbytes(state) / n


def with_loops(measure, turns, monkeypatch):
    """The cost of a step whose scans turn so often, as two turns cost it."""
    once = measure()
    if turns == 1:
        return once
    with monkeypatch.context() as m:
        m.setattr(jax.lax, "scan", functools.partial(jax.lax.scan, unroll=2))
        turn = measure().accessed - once.accessed
    return once._replace(accessed=once.accessed + (turns - 1) * turn)


FIRST = ["clip + adamw", "apply_if_finite(clip + adamw)", "MultiSteps(adamw, 4)"]


@pytest.mark.parametrize(
    "name",
    [
        *FIRST,
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in pipelines.PIPELINES
            if name not in FIRST
        ),
    ],
)
def test_a_composed_step_moves_few_bytes_and_allocates_none(name):
    costs = pipelines.measure(name, trees.gpt2(shrink=6), [jl], repeats=0)
    for goal in pipelines.goals(name, costs["jaxopt_lite"]):
        assert goal.found <= goal.at_most, str(goal)


def test_adamw_needs_parameters_gradients_and_moments_at_once():
    costs, _ = step.measure(trees.gpt2(shrink=6), [jl], repeats=0)
    assert costs["jaxopt_lite"].peak <= step.GOALS["live bytes"]


@pytest.mark.parametrize(
    "build",
    [
        lambda tx: jl.apply_if_finite(jl.chain(jl.clip_by_global_norm(1.0), tx), 3),
        lambda tx: jl.chain(
            jl.clip_by_global_norm(1.0), jl.inject_hyperparams(lambda: tx)()
        ),
        lambda tx: jl.apply_if_finite(
            jl.partition({"a": tx, "b": tx}, jl.by_path({"first": "a", "second": "b"})),
            3,
        ),
    ],
    ids=["guard", "inject_hyperparams", "partition"],
)
def test_a_wrapper_costs_one_pass_over_the_gradient(build):
    (plain, _), (wrapped, _) = (
        of_step(tx, {}) for tx in (jl.adamw(1e-3), build(jl.adamw(1e-3)))
    )
    assert wrapped.accessed - plain.accessed <= 4 + SLACK
    assert wrapped.temporaries <= SLACK


CASES = {name: Case(name, entry.variants[0]) for name, entry in TABLE.items()}
MADE = {
    **{name: (c.ours, c.entry.extra) for name, c in CASES.items()},
    **{name: (lambda c=c: c.make(jl), c.extra) for name, c in COMBINED.items()},
}
THEIRS = {
    **{
        name: lambda tree, c=c: c.theirs(trees.ones(tree))
        for name, c in CASES.items()
        if c.is_in_optax
    },
    **{
        name: lambda tree, c=c: c.make(AllOfOptax())
        for name, c in COMBINED.items()
        if c.unlike_optax is None
    },
}


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.*by_path has patterns that match no parameter")
@pytest.mark.parametrize("name", MADE)
def test_state_and_parameters_are_updated_where_they_lie(name):
    build, extra = MADE[name]
    found, state = of_step(build(), extra)
    assert found.aliased >= (4 if name != "set_to_zero" else 0) + state - 1e-3


@pytest.mark.full
@pytest.mark.parametrize("where", TREES)
@pytest.mark.parametrize("name", THEIRS)
def test_no_step_moves_more_than_that_of_optax(name, where, monkeypatch):
    (build, extra), tree = MADE[name], TREES[where]
    ours, _ = of_step(build(), extra, tree)

    def measure():
        return of_step(THEIRS[name](tree), extra, tree, optax)[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = with_loops(measure, TURNS.get(name, 1), monkeypatch)
    assert ours.temporaries <= theirs.temporaries + ORDER.get((name, where), SLACK)
    assert ours.accessed <= theirs.accessed + SIGNS.get(name, SLACK)


def test_galore_keeps_signs_only_where_it_looks_for_directions(monkeypatch):
    """What that costs beside Optax is spread over `update_proj_gap` steps."""
    gap = 200
    make = memory.OPTIMIZERS["galore"]
    ours, theirs = (
        of_step(make(pipelines.flat(lib)), {}, library=lib)[0] for lib in (jl, optax)
    )
    # The branch that is taken in all steps but one; caches hold the whole condition.
    monkeypatch.setattr(jax.lax, "cond", lambda pred, yes, no, *args: no(*args))
    jax.clear_caches()
    ours_between, theirs_between = (
        of_step(make(pipelines.flat(lib)), {}, library=lib)[0] for lib in (jl, optax)
    )
    jax.clear_caches()
    assert ours_between.accessed < ours.accessed - 1
    assert ours_between.accessed <= theirs_between.accessed + 0.01
    assert ours_between.temporaries <= theirs_between.temporaries + 0.01
    assert (ours.accessed - theirs.accessed) / gap <= 0.02
    assert ours.temporaries <= theirs.temporaries


def test_galore_holds_the_updates_of_few_matrices_at_once():
    tree = trees.gpt2(shrink=12)
    ours, theirs = (
        of_step(pipelines.flat(lib).galore(1e-3, rank=8), {}, tree, lib)[0]
        for lib in (jl, optax)
    )
    assert ours.temporaries <= theirs.temporaries


def test_the_bytes_of_optax_are_seen():
    tx = peers.adamw(optax, None)
    clipped = optax.chain(optax.clip_by_global_norm(1.0), tx)
    found, _ = of_step(clipped, {}, library=optax)
    assert found.accessed == pytest.approx(60, abs=0.1)
    assert found.temporaries == pytest.approx(4, abs=0.1)
