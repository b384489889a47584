"""What an optimizer does to one parameter, and what it keeps for it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
import rich
from flax import nnx

import jaxopt_lite as jl
from tests.table import COMBINED, TABLE, Case

PARAMS = {
    "encoder": [{"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3), "none": None}],
    "head": {"kernel": jnp.ones((64, 64))},
}
RATE = jl.by_path({"encoder/*": 1e-4, "*": jl.linear_schedule(1.0, 0.0, 10)})
MASK = jl.by_path({"bias": False, "*": True})


def listed(tx, path, **options):
    """The actions by name, those that do not act in brackets."""
    found = jl.explain(tx, PARAMS, path, **options).actions
    return [x.name if x.acts else f"({x.name})" for x in found]


def numbers(tx, path, name, **options):
    """The numbers of one action."""
    found = jl.explain(tx, PARAMS, path, **options).actions
    (action,) = (x for x in found if x.name == name)
    return {k: (round(float(x.value), 6), x.source) for k, x in action.numbers.items()}


def notes(tx, path, name):
    (found,) = (x for x in jl.explain(tx, PARAMS, path).actions if x.name == name)
    return "; ".join(found.notes)


def test_it_tells_rules_numbers_and_masks_in_order():
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(RATE, mask=MASK))
    for path, decay in {
        "encoder/0/kernel": "add_decayed_weights",
        "encoder/0/bias": "(add_decayed_weights)",
    }.items():
        assert listed(tx, path) == [
            "clip_by_global_norm",
            "scale_by_adam",
            decay,
            "scale_by_learning_rate",
        ]
    assert notes(tx, "encoder/0/bias", "add_decayed_weights") == (
        "mask is False by 'bias'"
    )
    assert notes(tx, "head/kernel", "add_decayed_weights") == "mask is True by '*'"


def test_schedules_are_read_at_the_step():
    tx, name = jl.sgd(RATE), "scale_by_learning_rate"
    assert numbers(tx, "encoder/0/bias", name, step=5) == {
        "learning_rate": (1e-4, "by 'encoder/*'")
    }
    for step, rate in {0: 1.0, 5: 0.5, 20: 0.0}.items():
        assert numbers(tx, "head/kernel", name, step=step) == {
            "learning_rate": (rate, "by '*' from Linear")
        }


def test_a_rate_by_layer_says_of_what_it_is_a_share():
    rates = jl.layerwise_decay("encoder/{}/*", 0.5, PARAMS, top=RATE.values[1])
    found = numbers(jl.sgd(rates), "encoder/0/bias", "scale_by_learning_rate", step=2)
    assert found == {"learning_rate": (0.4, "by 'encoder/0/*' from 0.5 * Linear")}


def test_groups_wrappers_and_frozen_parameters():
    tx = jl.chain(
        jl.freeze(jl.by_path({"kernel": True, "*": False})),
        jl.skip_spikes(
            jl.partition(
                {
                    "up": jl.masked(
                        jl.MultiSteps(jl.sgd(jl.by_path({"bias": 0.5})), 2), MASK
                    ),
                    "down": jl.sgd(jl.by_path({"bias": 0.1})),
                },
                jl.by_path({"head": "up", "encoder/*": "down"}),
            )
        ),
        optax.trace(0.9),
    )
    assert listed(tx, "head/kernel") == ["freeze"]
    assert notes(tx, "head/kernel", "freeze") == "mask is True by 'kernel'"
    assert listed(tx, "encoder/0/bias") == [
        "skip_spikes",
        "partition",
        "scale_by_learning_rate",
        "trace",
    ]
    assert notes(tx, "encoder/0/bias", "partition") == "label is 'down' by 'encoder/*'"
    depths = [x.depth for x in jl.explain(tx, PARAMS, "encoder/0/bias").actions]
    assert depths == [0, 1, 2, 0]


@pytest.mark.parametrize(
    "outer",
    [
        lambda tx: jl.chain(jl.freeze(jl.by_path({"head": True, "*": False})), tx),
        lambda tx: jl.partition(
            {"a": tx, "b": jl.sgd(0.1)}, jl.by_path({"head": "b", "*": "a"})
        ),
        lambda tx: jl.masked(
            jl.apply_if_finite(tx, 1), jl.by_path({"head": False, "*": True})
        ),
    ],
    ids=["freeze", "partition", "masked"],
)
def test_what_is_inside_speaks_only_of_what_it_sees(outer):
    inner = jl.masked(jl.apply_every(2), jl.by_path({"encoder/*": True}))
    assert listed(outer(inner), "encoder/0/bias")[-1] == "apply_every"


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (jl.weights_only, "mask is True by '*' of weights_only"),
        ({"encoder": True, "head": True}, "mask is True"),
        (nothing := lambda tree: jax.tree.map(lambda x: True, tree), "by <lambda>"),
    ],
)
def test_every_kind_of_mask_is_shown(mask, says):
    inside = jl.masked(jl.apply_if_finite(jl.sgd(0.1), 1), mask)
    assert says in notes(inside, "head/kernel", "masked")
    assert listed(inside, "head/kernel")[1:] == [
        "apply_if_finite",
        "scale_by_learning_rate",
    ]
    rule = jl.add_decayed_weights(0.1, mask)
    assert says in notes(rule, "head/kernel", "add_decayed_weights")


def test_numbers_of_an_injected_factory():
    tx = jl.inject_hyperparams(jl.adamw)(lambda count: 0.5, weight_decay=RATE)
    assert listed(tx, "head/kernel")[0] == "inject_hyperparams"
    found = numbers(tx, "head/kernel", "scale_by_learning_rate")
    assert found == {"learning_rate": (0.5, "")}


def test_storage_and_bytes():
    tx = jl.store_state(jl.adam(0.1, mu_dtype=jnp.bfloat16), "int8")
    found = jl.explain(tx, PARAMS, "head/kernel")
    assert notes(tx, "head/kernel", "scale_by_adam").startswith("mu, nu as Blocks(")
    arrays = {x.path: (x.array, x.nbytes) for x in found.state}
    assert arrays["0/mu/codes/head/kernel"] == ("int8[64,64]", 64 * 64)
    assert found.state_bytes == sum(nbytes for _, nbytes in arrays.values()) > 2 * 64**2
    small = jl.explain(tx, PARAMS, "encoder/0/bias")
    assert [x.array for x in small.state] == ["float32[3]", "float32[3]"]
    half = jl.adam(0.1, mu_dtype=jnp.bfloat16)
    assert notes(half, "encoder/0/bias", "scale_by_adam") == "mu in bfloat16"
    found = jl.explain(half, PARAMS, "encoder/0/bias")
    assert [x.array for x in found.state] == ["bfloat16[3]", "float32[3]"]
    assert found.state_bytes == 3 * 2 + 3 * 4


CASES = {name: Case(name, entry.variants[-1]).ours for name, entry in TABLE.items()}
MADE = CASES | {name: lambda x=x: x.make(jl) for name, x in COMBINED.items()}
NETWORK = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3), "scale": jnp.ones(())}


@pytest.mark.parametrize("chosen", range(8))
def test_all_that_is_kept_belongs_to_some_parameter_or_to_none(chosen, capsys):
    for name in list(MADE)[chosen::8]:
        tx = MADE[name]()
        found = [jl.explain(tx, NETWORK, path) for path in NETWORK]
        table = jl.summary(tx, NETWORK)
        kept = sum(x.state_bytes for x in found)
        assert kept == table.total.state_bytes - table.shared_bytes, name
        does_nothing = name.startswith(("identity", "freeze"))
        assert all(x.actions for x in found) != does_nothing, name
    assert "total" in capsys.readouterr().out


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="head")(x)


def test_in_linen_and_nnx_the_path_is_the_same():
    linen = Linen().init(jax.random.key(0), jnp.ones((1, 3)))["params"]
    of_nnx = nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param)
    tx = jl.adam(0.1)
    assert jl.explain(tx, linen, "head/bias").state_bytes == 16
    assert jl.explain(tx, {"head": of_nnx}, "head/bias").state_bytes == 16


def test_it_reads_as_a_table(capsys):
    found = jl.explain(jl.adamw(RATE, mask=MASK), PARAMS, "encoder/0/bias")
    head, _, _, *lines = str(found).splitlines()
    assert head == "encoder/0/bias: float32[3], at step 0"
    assert [line.split()[:3] for line in lines] == [
        ["1", "scale_by_adam", "b1=0.9,"],
        ["-", "add_decayed_weights", "not"],
        ["2", "scale_by_learning_rate", "learning_rate=0.0001"],
        [],
        ["state", "array", "bytes"],
        ["0/mu/encoder/0/bias", "float32[3]", "12"],
        ["0/nu/encoder/0/bias", "float32[3]", "12"],
        ["total", "24"],
    ]
    rich.print(found)
    assert "scale_by_adam" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("params", "path", "text"),
    [
        (PARAMS, "encoder/0/bais", "'encoder/0/bais'; the nearest is 'encoder/0/bias'"),
        (PARAMS, "encoder/0", "'encoder/0'; the nearest is 'encoder/0/bias'"),
        (PARAMS, "encoder/0/none", "the nearest is 'encoder/0/kernel'"),
        (jnp.ones(3), "w", "'w'; the nearest is the parameter"),
        ({}, "w", "there is no parameter at 'w'."),
    ],
)
def test_a_path_without_parameter_is_refused(params, path, text):
    with pytest.raises(KeyError) as caught:
        jl.explain(jl.adam(0.1), params, path)
    assert text in caught.value.args[0]


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="explain: the optimizer is 3"):
        jl.explain(3, PARAMS, "head/kernel")


def test_a_bare_array_is_explained():
    found = jl.explain(jl.trace(0.9), jnp.ones(3), "")
    assert str(found).startswith("the parameter: float32[3], at step 0")
    assert found.state_bytes == 12
