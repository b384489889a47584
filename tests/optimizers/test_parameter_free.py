"""What the table of all transformations cannot say of methods without a rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, at, run, trajectory
from tests.table import Case
from tests.variants.common import MASK, falling

ONE = {"w": jnp.array([3.0, -4.0])}


def two(like):
    return trajectory(like, 1), trajectory(like, 2)


@pytest.mark.parametrize("name", ["momo", "momo_adam", "polyak_sgd"])
def test_equals_optax_where_that_is_right(name, x64):
    case = Case(name, {})
    g, p = two(LAYER)
    ours, theirs = case.run(g, p), case.run_theirs(g, p)
    assert_close(ours.updates, theirs.updates)
    assert_close(ours.state, theirs.state)


LAYER = {"kernel": np.zeros((2, 3)), "bias": np.zeros(2)}
MASKS = {
    "by path": (jl.by_path(MASK), jl.by_path({"kernel": falling, "*": 0.1})),
    "a function": (lambda p: jax.tree.map(lambda x: x.ndim == 2, p), 0.1),
}


@pytest.mark.parametrize(("mask", "decay"), MASKS.values(), ids=MASKS)
@pytest.mark.filterwarnings("ignore:.*by_path has patterns that match no parameter")
def test_prodigy_decays_where_the_mask_says(mask, decay, x64):
    g, p = two(LAYER)

    def updates(**arguments):
        return run(jl.prodigy(estim_lr0=1e-3, **arguments), g, p).updates

    found = updates(weight_decay=decay, weight_decay_mask=mask)
    decayed, plain = updates(weight_decay=decay), updates()
    assert not np.array_equal(decayed["bias"], plain["bias"])
    assert_close(found, {"kernel": decayed["kernel"], "bias": plain["bias"]})


@pytest.mark.parametrize("name", ["prodigy", "dadapt_adamw"])
@pytest.mark.parametrize("idle", ["the gradient", "the rate"])
def test_an_estimate_waits_for_the_first_step(name, idle):
    def awake(count):
        return jnp.where(count < 3, 0.0, 1.0)

    rate = awake if idle == "the rate" else 1.0
    tx = getattr(jl, name)(rate, estim_lr0=0.1)
    steps = jnp.arange(8.0)[:, None] * jnp.ones(2)
    g = awake(steps) if idle == "the gradient" else jnp.ones((8, 2))
    u, state = run(tx, g, -steps)
    assert not u[:3].any()
    assert u[3:].all() and jnp.isfinite(u).all()
    assert state.estim_lr > 0.1


def test_dog_measures_its_start_once():
    p = {"a": jnp.full(3, 2.0), "b": jnp.full(4, -1.0)}
    state = jl.scale_by_dog(("heuristic", 0.5)).init(p)
    assert state.max_dist == 0.5 * (1 + 4)


def test_dog_keeps_its_first_rate_until_it_has_moved():
    tx = jl.dog(lambda count: jnp.where(count < 2, 0.0, 1.0), ("learning_rate", 0.5))
    state, p, moved = tx.init(ONE), ONE, []
    for _ in range(4):
        u, state = tx.update(ONE, state, p)
        p = jl.apply_updates(p, u)
        moved.append(float(jnp.abs(u["w"]).max()))
    assert moved[:3] == [0.0, 0.0, 2.0]
    assert moved[3] > 0


@pytest.mark.parametrize("scale", [1e-11, 1.0, 1e19])
def test_polyak_step_is_right_at_any_magnitude(scale):
    g = jax.tree.map(lambda x: x * jnp.float32(scale), ONE)
    tx = jl.scale_by_polyak(max_learning_rate=np.inf)
    u, _ = tx.update(g, tx.init(g), value=jnp.float32(5 * scale))
    assert_close(u, {"w": np.array([0.6, -0.8])})


def test_polyak_is_given_a_schedule_and_an_integer():
    tx = jl.polyak_sgd(max_learning_rate=1, scaling=falling, f_min=2)
    u, state = tx.update(ONE, tx.init(ONE), value=52)
    assert_close(u, {"w": np.array([-1.5, 2.0])})
    assert state[0][1].count == 1


def test_plateau_of_a_schedule(x64):
    numbers = {"factor": falling, "patience": 4, "min_scale": falling}
    g, p = two(LAYER)
    ours = Case("reduce_on_plateau", numbers)
    found = ours.run(g, p)
    assert_close(found.updates, ours.reference(g, p))
    assert found.state.step == 50


def scales(tx, values):
    g, p = jnp.ones((len(values), 1)), jnp.ones((len(values), 1))
    return run(tx, g, p, extra={"value": values.__getitem__}).updates[:, 0].tolist()


def test_plateau_of_a_negative_loss():
    tx = jl.reduce_on_plateau(0.5, patience=2)
    assert scales(tx, [-1.0, -1.0, -1.0, -2.0, -2.0, -2.0]) == [
        1,
        1,
        0.5,
        0.5,
        0.5,
        0.25,
    ]


def test_plateau_takes_nan_and_infinity_for_no_progress():
    tx = jl.reduce_on_plateau(0.5, patience=2)
    assert scales(tx, [1.0, np.nan, np.inf, 0.5, 0.4]) == [1, 1, 0.5, 0.5, 0.5]
    assert scales(
        jl.reduce_on_plateau(0.5, rtol=1.0, patience=1), [1.0, 0.5, -1.0]
    ) == [
        1,
        0.5,
        0.5,
    ]


def test_plateau_outside_of_commit_stays():
    tx = jl.reduce_on_plateau(0.5, patience=1)
    state = tx.init(ONE)
    _, after = tx.update(ONE, state, value=1.0, commit=jnp.array(False))
    assert jax.tree.all(jax.tree.map(np.array_equal, after, state))


REFUSED = {
    "scale_by_dog": [{"init_step": ("far", 1.0)}, {"init_step": 0.1}],
    "prodigy": [{"betas": 0.9}, {"estim_lr0": 0.0}, {"beta3": 1.0}],
    "scale_by_polyak": [{"variant": "sps-"}, {"max_learning_rate": -1.0}],
    "reduce_on_plateau": [{"rtol": 0.0}, {"patience": 0}, {"factor": 1.0}],
    "momo": [{"beta": 1.0}, {"weight_decay": -0.1}],
    "dadapt_adamw": [{"eps": 0.0}],
}


@pytest.mark.parametrize(
    ("name", "arguments"), [(k, x) for k, all_ in REFUSED.items() for x in all_]
)
def test_wrong_arguments_are_refused(name, arguments):
    with pytest.raises(ValueError, match="expected"):
        getattr(jl, name)(**arguments)


@pytest.mark.parametrize(
    ("name", "argument"),
    [("prodigy", "learning_rate"), ("momo", "learning_rate"), ("dowg", "eps")],
)
def test_whole_tree_numbers_are_refused_by_path(name, argument):
    with pytest.raises(TypeError, match="one number for the whole tree"):
        getattr(jl, name)(**{argument: jl.by_path({"*": 0.1})})


@pytest.mark.parametrize("name", ["polyak_sgd", "momo", "reduce_on_plateau"])
def test_a_missing_loss_is_named(name):
    tx = getattr(jl, name)()
    with pytest.raises(TypeError, match="without `value`"):
        tx.update(ONE, tx.init(ONE), ONE)


def test_what_is_by_path_reaches_its_leaf(x64):
    g, p = two(LAYER)
    extra = {"value": lambda count: 1.0 + count}

    def updates(**numbers):
        return run(jl.momo_adam(0.1, **numbers), g, p, extra=extra).updates

    both = updates(b2=jl.by_path({"bias": 0.5, "kernel": 0.9}), eps=0.1)
    assert_close(at(both, slice(1)), at(updates(eps=0.1), slice(1)))
    assert not np.array_equal(both["kernel"], updates(b2=0.5, eps=0.1)["kernel"])
