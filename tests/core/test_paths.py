"""Patterns, `by_path` and the ready mask."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl

ONE = jnp.ones(1)
PARAMS = {"body": {"kernel": ONE, "bias": ONE}, "head": {"kernel": ONE, "bias": None}}


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("head/*", "head/kernel", True),
        ("head/*", "head/mlp/kernel", True),
        ("head/*", "encoder/head/kernel", False),
        ("*/kernel", "a/b/kernel", True),
        ("*bias", "bias", True),
        ("*bias", "dense/bias_scale", False),
        ("*norm*", "LayerNorm_0/scale", True),
        ("layernorm_?/SCALE", "LayerNorm_0/scale", True),
        ("layers/[0-3]/*", "layers/2/kernel", True),
        ("layers/[0-3]/*", "layers/4/kernel", False),
        ("dense/kernel", "dense/kernel", True),
        ("dense/kernel", "a/dense/kernel", False),
        ("dense.kernel", "dense/kernel", False),
        ("bias", "bias", True),
        ("bias", "dense/bias", True),
        ("bias", "dense/bias/0", True),
        ("Bias", "dense/bias", True),
        ("bias", "dense/bias_scale", False),
        ("bias", "dense/my_bias", False),
        ("0", "layers/0/kernel", True),
        ("0", "layers/10/kernel", False),
        ("a.b", "aXb", False),
        ("re:ker", "dense/kernel", True),
        ("re:^ker", "dense/kernel", False),
        ("re:KER", "dense/kernel", False),
        ("re:(?i)KER", "dense/kernel", True),
        ("re:layers/[12]/", "layers/2/kernel", True),
        ("*", "", True),
        ("*", "anything/at/all", True),
    ],
)
def test_pattern(pattern, path, matches):
    tree = ONE
    for name in reversed(path.split("/") if path else []):
        tree = {name: tree}
    rules = jl.by_path({pattern: True, "re:^": False})
    assert jax.tree.leaves(rules(tree)) == [matches]


def test_the_first_match_wins():
    assert jl.by_path({"bias": 1.0, "body/*": 2.0, "*": 3.0})(PARAMS) == {
        "body": {"kernel": 2.0, "bias": 1.0},
        "head": {"kernel": 3.0, "bias": None},
    }
    assert jl.by_path({"*": 3.0, "bias": 1.0})(PARAMS)["body"]["bias"] == 3.0


@pytest.mark.parametrize("count", [0, 1.0, np.int32(0), jnp.int32(0)])
def test_it_is_no_schedule(count):
    with pytest.raises(TypeError, match="called with a number"):
        jl.by_path({"*": 0.1})(count)
    with pytest.raises(TypeError, match="called with a number"):
        jax.eval_shape(jl.by_path({"*": 0.1}), jnp.asarray(count))


def test_an_uncovered_parameter_is_an_error():
    tx = jl.sgd(jl.by_path({"kernel": 0.1}))
    with pytest.raises(ValueError, match="'body/bias': matches no pattern"):
        tx.init(PARAMS)
    with pytest.raises(ValueError, match="'body/bias': matches no pattern"):
        tx.update(PARAMS, (jl.EmptyState(), jl.EmptyState()))


def test_a_position_without_parameter_needs_no_cover():
    rates = jl.by_path({"kernel": 0.1})
    bare = {"kernel": ONE, "bias": None, "scale": jl.MaskedNode()}
    updates, _ = jl.scale(rates).update(bare, jl.scale(rates).init(bare))
    assert updates["bias"] is None
    assert updates["scale"] == jl.MaskedNode()


IDLE = jl.by_path({"*norm*": 0.0, "haed/*": 0.5, "*": 1.0})
IDLE_MASK = jl.by_path({"*norm*": False, "haed/*": False, "*": True})
FITTING = jl.by_path({"head/bias": 0.0, "*": 1.0})


def test_an_idle_pattern_warns_at_init_only_with_the_nearest_path():
    tx = jl.sgd(IDLE)
    with pytest.warns(UserWarning, match="'haed/\\*'; the nearest path is 'head/"):
        state = tx.init(PARAMS)
    tx.update(PARAMS, state, PARAMS)


@pytest.mark.parametrize(
    ("build", "idle"),
    [
        (jl.add_decayed_weights, IDLE),
        (lambda x: jl.masked(jl.scale(2.0), x), IDLE_MASK),
        (jl.freeze, IDLE_MASK),
        (lambda x: jl.chain(jl.scale(2.0), jl.freeze(x)), IDLE_MASK),
        (lambda x: jl.chain(jl.adamw(0.1, mask=x)), IDLE_MASK),
        (
            lambda x: jl.partition({False: jl.identity(), True: jl.sgd(0.1)}, x),
            IDLE_MASK,
        ),
    ],
    ids=["number", "mask", "freeze", "freeze in a chain", "mask in adamw", "labels"],
)
def test_an_idle_pattern_warns_wherever_it_stands(build, idle):
    with pytest.warns(UserWarning, match="'\\*norm\\*'"):
        build(idle).init(PARAMS)
    rules = dict(zip(idle.patterns, idle.values, strict=True))
    strict = jl.by_path(rules, strict=True)
    with pytest.raises(ValueError, match="'\\*norm\\*'"):
        build(strict).init(PARAMS)


@pytest.mark.parametrize("hides", [True, False])
def test_an_idle_pattern_warns_once(hides):
    rules = jl.by_path({"*norm*": True, "body/*": hides, "*": False})
    with pytest.warns(UserWarning) as warned:
        jl.chain(jl.sgd(0.1), jl.freeze(rules)).init(PARAMS)
    assert len(warned) == 1


def test_positions_of_none_count_for_patterns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jl.sgd(FITTING).init(PARAMS)


@pytest.mark.parametrize(
    ("tx", "params"),
    [
        (jl.sgd(IDLE), {}),
        (jl.partition({"a": jl.sgd(IDLE), "b": jl.adam(IDLE)},
                      jl.by_path({"body/*": "a", "*": "b"})), PARAMS),
        (jl.masked(jl.sgd(IDLE), jl.by_path({"bias": False, "*": True})), PARAMS),
        (jl.chain(jl.sgd(IDLE), jl.freeze(jl.by_path({"bias": True, "*": False}))),
         PARAMS),
        (jl.adamw(0.1, mask=jl.weights_only), {"kernel": ONE}),
        (jl.freeze(jl.weights_only), {"kernel": ONE}),
    ],
    ids=["empty tree", "partition", "masked", "frozen", "ready mask", "ready freeze"],
)  # fmt: skip
def test_an_idle_pattern_is_silent_where_not_all_is_in_sight(tx, params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tx.init(params)


def test_a_strict_idle_pattern_is_silent_in_a_partition():
    rates = jl.by_path({"body/*": 0.5, "head/*": 0.1}, strict=True)
    labels = jl.by_path({"body/*": "a", "*": "b"})
    jl.partition({"a": jl.sgd(rates), "b": jl.adam(rates)}, labels).init(PARAMS)


def test_a_whole_tree_number_takes_none():
    with pytest.raises(TypeError, match="Use `partition`"):
        jl.clip_by_global_norm(jl.by_path({"*": 1.0}))


def test_called_on_a_tree_it_keeps_the_trees_structure():
    tree = {
        "bias": optax.MaskedNode(),
        "kernel": ONE,
        "none": None,
        "m": jl.MaskedNode(),
    }
    mask = jl.weights_only(tree)
    assert jax.tree.structure(mask) == jax.tree.structure(tree)
    assert jax.tree.leaves(mask) == [True]


def test_optax_takes_it_where_it_takes_a_function():
    groups = {"a": optax.adamw(0.1, mask=jl.weights_only.__call__), "b": optax.sgd(0.1)}
    tx = optax.partition(groups, jl.by_path({"body/*": "a", "*": "b"}))
    tx.update(PARAMS, tx.init(PARAMS), PARAMS)


def test_arrays_and_schedules_in_it_are_leaves():
    rates = jl.by_path({"a": jnp.ones(2), "b": 0.5, "c": jl.constant_schedule(ONE)})
    assert len(jax.tree.leaves(rates)) == 2
    assert rates == jl.by_path(dict(zip(rates.patterns, rates.values, strict=True)))


KEPT = [
    "Dense_0/kernel",
    "mlp/~/linear_0/w",
    "layers/0/weight",
    "embedding/embedding",
    "bottleneck/kernel",
    "value/kernel",
]
LEFT_OUT = [
    "Dense_0/bias",
    "mlp/~/linear_0/b",
    "LayerNorm_0/scale",
    "layer_norm/offset",
    "encoder/norm1/weight",
    "BatchNorm_3/kernel",
    "h/0/ln_1/weight",
    "bn/weight",
    "bn1/scale",
    "gn/scale",
    "bias",
]


@pytest.mark.parametrize("path", KEPT + LEFT_OUT)
def test_weights_only(path):
    tree = ONE
    for name in reversed(path.split("/")):
        tree = {name: tree}
    assert jax.tree.leaves(jl.weights_only(tree)) == [path in KEPT]


def test_weights_only_looks_at_names_not_at_shapes():
    stacked = {
        "kernel": jnp.ones(3),
        "bias": jnp.ones((4, 3)),
        "norm": jnp.ones((4, 3)),
    }
    mask = {"kernel": True, "bias": False, "norm": False}
    assert jl.weights_only(stacked) == mask
    assert repr(jl.weights_only) == "weights_only"


@pytest.mark.parametrize(
    ("path", "decays"),
    [
        ("gnn/kernel", True),
        ("lnet/w", True),
        ("normalizing_flow/kernel", True),
        ("normal_head/kernel", True),
        ("BatchNormalization_0/kernel", False),
        ("rmsnorm/weight", False),
        ("ln_f/weight", False),
        ("blocks/0/ln1/weight", False),
        ("bn/w", False),
    ],
)
def test_weights_only_knows_norms_from_networks(path, decays):
    module, leaf = path.rsplit("/", 1)
    assert jl.weights_only({module: {leaf: jnp.ones(2)}}) == {module: {leaf: decays}}
