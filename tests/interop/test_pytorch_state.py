"""State dicts of torch.optim, recorded in the middle of training, continued here."""

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import jaxopt_lite as jl
from jaxopt_lite.interop import pytorch
from tests.golden import cases, state_cases
from tests.golden.state_cases import CASES, GROUPS, NAMES, OURS, SAVED, SHAPES, Case

GOLDEN = np.load(Path(state_cases.__file__).with_name("pytorch_states.npz"))
LAYOUTS = json.loads(str(GOLDEN["layout"]))
VECTORS = {name: GOLDEN[f"state_{i}"] for i, name in enumerate(LAYOUTS)}

Run = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def recorded(case: Case) -> Run:
    """The parameters and the state dict when it was saved, and the last parameters."""
    layout, rest = LAYOUTS[str(case)], VECTORS[str(case)]
    trees: dict[str, dict[str, Any]] = {}
    for name, shape in layout["shapes"].items():
        at, _, key = name.partition(" ")
        size = int(np.prod(shape))
        trees.setdefault(at, {})[key] = rest[:size].reshape(shape)
        rest = rest[size:]
    assert not rest.size
    first, last = trees.pop("first"), trees.pop("last")
    state = {int(i): entry for i, entry in trees.items()}
    return first, {"state": state, "param_groups": layout["param_groups"]}, last


PATHS = {name: path for name, (path, _) in OURS.items()}
LISTED = [PATHS[name] for name in NAMES]
AXES = {path: axes for path, axes in OURS.values()}
BEFORE, AFTER = slice(SAVED), slice(SAVED, None)
"""The steps before and after the state was saved."""


def make(case: Case) -> jl.GradientTransformation:
    """Our counterpart of a case: what differs between groups is `by_path`."""
    arguments = {
        name: by_group(value) if isinstance(value, list) else value
        for name, value in case.arguments.items()
    }
    if case.scheduled:
        arguments["lr"] = by_group(
            [
                lambda count, i=i: state_cases.rate(case, i, count)
                for i in range(len(GROUPS))
            ]
        )
    return getattr(pytorch, case.optimizer.lower())(**arguments)


def by_group(values: list[Any]) -> Any:
    """A number of each group."""
    return jl.by_path(
        {
            PATHS[name]: value
            for names, value in zip(GROUPS, values, strict=True)
            for name in names
        }
    )


def load(tx: Any, case: Case, **others: Any) -> tuple[Any, Any, Any]:
    """The parameters and the state to go on with, and where the run ended."""
    first, state_dict, last = recorded(case)
    params = jax.tree.map(jnp.asarray, state_cases.ours(first))
    given = {
        "names": PATHS if case.is_named else LISTED,
        "transpose": AXES,
        "count": SAVED if case.optimizer == "SGD" else None,
        **others,
    }
    state = pytorch.load_state_dict(tx, params, state_dict, **given)
    return params, state, state_cases.ours(last)


@functools.partial(jax.jit, static_argnums=0)
def step(tx: Any, g: Any, params: Any, state: Any) -> Any:
    updates, state = tx.update(g, state, params)
    return jl.apply_updates(params, updates), state


def proceed(tx: Any, case: Case, steps: slice, params: Any, state: Any) -> Any:
    """The parameters and the state after some steps."""
    for gradient in list(state_cases.gradients(case))[steps]:
        params, state = step(tx, state_cases.ours(gradient), params, state)
    return params, state


def error(found: Any, expected: Any) -> float:
    """The largest error of a parameter."""
    distances = jax.tree.map(lambda x, y: np.max(np.abs(x - y)), found, expected)
    return max(jax.tree.leaves(distances), default=0.0)


def continues(tx: Any, case: Case, **others: Any) -> bool:
    """Whether ten steps here after ten of PyTorch are twenty of PyTorch."""
    params, state, last = load(tx, case, **others)
    fresh = tx.init(params)
    assert jax.tree.structure(state) == jax.tree.structure(fresh)
    assert jax.tree.map(jax.typeof, state) == jax.tree.map(jax.typeof, fresh)
    end, _ = proceed(tx, case, AFTER, params, state)
    return error(end, last) < 1e-12


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ten_steps_and_ten_are_twenty(case: Case, x64: None) -> None:
    assert continues(make(case), case)


@pytest.mark.parametrize(
    "case", [x for x in CASES.values() if not x.late], ids=lambda case: str(case)
)
def test_the_state_is_that_after_ten_steps_here(case: Case, x64: None) -> None:
    tx = make(case)
    _, loaded, _ = load(tx, case)
    start = jax.tree.map(jnp.asarray, state_cases.ours(cases.parameters(SHAPES)))
    _, state = proceed(tx, case, BEFORE, start, tx.init(start))
    assert error(loaded, state) < 1e-12


def test_recording_holds_every_case() -> None:
    assert list(VECTORS) == list(CASES)


def plain(optimizer: str, **arguments: Any) -> Case:
    """The case of an optimizer with these arguments."""
    given = {"lr": 0.03, "weight_decay": 0.0, **arguments}
    return CASES[str(Case(optimizer, given))]


@pytest.mark.parametrize(
    ("tx", "case"),
    [
        (jl.sgd(0.03, momentum=0.9), plain("SGD", momentum=0.9)),
        (
            jl.sgd(0.03, momentum=0.9, nesterov=True),
            plain("SGD", momentum=0.9, nesterov=True),
        ),
        (jl.adam(0.03), plain("Adam")),
        (jl.adamw(0.03, weight_decay=0.0), plain("AdamW")),
        (jl.rmsprop(0.03, 0.99, eps_in_sqrt=False), plain("RMSprop")),
        (jl.adamax(0.03), plain("Adamax")),
        (jl.adadelta(0.03, rho=0.7, eps=1e-6), plain("Adadelta", rho=0.7)),
    ],
    ids=lambda x: str(x)[:40],
)
def test_the_optimizers_with_the_same_formulas_go_on_too(
    tx: Any, case: Case, x64: None
) -> None:
    assert continues(tx, case)


ADAM = plain("Adam")
INNER = jl.scale_by_adam()
RATE = jl.scale_by_learning_rate(0.03)
ALL = jl.by_path({"dense": True, "*": False})


def scheduled(count: Any) -> Any:
    return jnp.asarray(0.03) + 0 * count


@pytest.mark.parametrize(
    "tx",
    [
        jl.chain(jl.chain(jl.identity(), INNER), jl.clip(1e9), RATE),
        jl.named_chain(("adam", INNER), ("rate", RATE)),
        jl.chain(
            jl.masked(INNER, ALL),
            jl.masked(INNER, jl.by_path({"dense": False, "*": True})),
            RATE,
        ),
        jl.partition(
            {"dense": jl.adam(0.03), "rest": jl.chain(INNER, RATE)},
            jl.by_path({"dense": "dense", "*": "rest"}),
        ),
        jl.inject_hyperparams(jl.adam)(0.03),
        jl.inject_hyperparams(jl.adam)(scheduled),
        jl.apply_if_finite(jl.adam(scheduled), 3),
        jl.MultiSteps(jl.adam(jl.by_path({"dense": 0.03, "*": scheduled})), 1),
    ],
    ids=lambda x: str(x)[:60],
)
def test_wherever_the_rule_stands(tx: Any, x64: None) -> None:
    assert continues(tx, ADAM)


def test_every_count_is_the_number_of_steps() -> None:
    tx = jl.chain(
        jl.add_decayed_weights(lambda count: 0.0 * count),
        jl.MultiSteps(jl.inject_hyperparams(jl.adam)(scheduled), 4),
        jl.conditionally_transform(jl.scale(2.0), lambda step: step < 5),
        jl.conditionally_mask(jl.scale(2.0), lambda step: step < 5),
    )
    _, state, _ = load(tx, ADAM)
    counts = jl.tree.get_all_with_path(state, "count")
    assert len(counts) == 4
    assert {int(count) for _, count in counts} == {SAVED}
    assert jl.tree.get(state, "gradient_step") == SAVED
    steps = jl.tree.get_all_with_path(state, "step")
    assert [int(step) for _, step in steps] == [SAVED, SAVED]
    assert jl.tree.get(state, "mini_step") == 0


def test_codes_hold_what_was_saved() -> None:
    params = {"kernel": jnp.zeros((64, 64))}
    x = np.random.default_rng(0).normal(size=(64, 64))
    entry = {"step": np.float32(3), "exp_avg": x, "exp_avg_sq": x**2}
    state_dict = state_dict_of([entry])
    tx = jl.store_state(jl.adam(0.1), "bfloat16")
    state = pytorch.load_state_dict(tx, params, state_dict, ["kernel"])
    fresh = tx.init(params)
    assert jax.tree.map(jax.typeof, state) == jax.tree.map(jax.typeof, fresh)
    np.testing.assert_allclose(state[0].mu["kernel"].astype(float), x, rtol=2**-7)


def state_dict_of(entries: list[Any], **group: Any) -> dict[str, Any]:
    """A state dict of Adam with one group."""
    numbers = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}
    return {
        "state": dict(enumerate(entries)),
        "param_groups": [{**numbers, **group, "params": [*range(len(entries))]}],
    }


PARAMS = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}}
BOTH = ["dense/kernel", "dense/bias"]
TURNED = {"kernel": (1, 0)}


def entry(*shape: int, step: float = 3.0) -> dict[str, Any]:
    return {
        "step": np.asarray(step, np.float32),
        "exp_avg": np.ones(shape),
        "exp_avg_sq": np.full(shape, 2.0),
    }


SAVED_ADAM = state_dict_of([entry(2, 3), entry(2)])


class Tensor:
    """As much of PyTorch's tensors as is asked for."""

    def __init__(self, x: np.ndarray, dtype: str = "torch.float32", place: str = "gpu"):
        self._x, self.dtype, self._place = x, dtype, place

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return Tensor(self._x, self.dtype, "cpu")

    def float(self) -> "Tensor":
        return Tensor(self._x, "torch.float32", self._place)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        assert self._place == "cpu" and self.dtype != "torch.bfloat16"
        return self._x


def test_tensors_of_any_dtype_and_place_are_read() -> None:
    entries = [
        {k: Tensor(x, "torch.bfloat16") for k, x in entry(2, 3).items()},
        {k: Tensor(x) for k, x in entry(2).items()},
    ]
    state_dict = state_dict_of(entries, lr=Tensor(np.asarray(0.1)))
    state = pytorch.load_state_dict(jl.adam(0.1), PARAMS, state_dict, BOTH, TURNED)
    assert state[0].count == 3
    np.testing.assert_array_equal(state[0].nu["dense"]["kernel"], np.full((3, 2), 2.0))


def test_what_is_loaded_shares_no_memory(x64: None) -> None:
    memory = np.zeros(8 * 2 + 64, np.uint8)
    start = -memory.ctypes.data % 64  # where JAX would take it as it lies
    x = memory[start : start + 16].view(np.float64)
    state_dict = state_dict_of([{**entry(2), "exp_avg": x}])
    params = {"bias": jnp.ones(2)}
    state = pytorch.load_state_dict(jl.adam(0.1), params, state_dict, ["bias"])
    x[:] = 7.0
    np.testing.assert_array_equal(state[0].mu["bias"], np.zeros(2))


def test_boxed_parameters() -> None:
    nn = pytest.importorskip("flax.linen")
    boxed = {"kernel": nn.Partitioned(jnp.ones((3, 2)), (None, "model"))}
    state_dict = state_dict_of([entry(2, 3)])
    state = pytorch.load_state_dict(jl.adam(0.1), boxed, state_dict, ["kernel"], TURNED)
    assert isinstance(state[0].mu["kernel"], nn.Partitioned)
    np.testing.assert_array_equal(state[0].mu["kernel"].unbox(), np.ones((3, 2)))


def test_slots_lie_where_their_parameters_lie() -> None:
    mesh = jax.make_mesh((2,), ("model",), devices=jax.devices()[:2])
    where = NamedSharding(mesh, PartitionSpec(None, "model"))
    params = {"kernel": jax.device_put(jnp.ones((3, 2)), where)}
    state_dict = state_dict_of([entry(2, 3)])
    tx = jl.adam(0.1)
    state = pytorch.load_state_dict(tx, params, state_dict, ["kernel"], TURNED)
    assert state[0].mu["kernel"].sharding == where


@pytest.mark.parametrize(
    "names",
    [
        BOTH,
        ["dense.kernel", "dense.bias"],
        {0: "dense/kernel", 1: "dense/bias"},
    ],
)
def test_names_are_paths_or_as_pytorch_writes_them(names: Any) -> None:
    state = pytorch.load_state_dict(jl.adam(0.1), PARAMS, SAVED_ADAM, names, TURNED)
    assert float(jnp.sum(state[0].mu["dense"]["kernel"])) == 6


@pytest.mark.parametrize(
    "group",
    [
        {"param_names": ["dense.kernel", "dense.bias"]},
        {"params": ["dense.kernel", "dense.bias"]},
    ],
)
def test_saved_names_are_enough_where_they_are_our_paths(group: Any) -> None:
    state_dict = copy.deepcopy(SAVED_ADAM)
    state_dict["param_groups"][0] |= group
    if "params" in group:
        keys = group["params"]
        state_dict["state"] = {k: state_dict["state"][i] for i, k in enumerate(keys)}
    state = pytorch.load_state_dict(jl.adam(0.1), PARAMS, state_dict, None, TURNED)
    assert float(jnp.sum(state[0].mu["dense"]["kernel"])) == 6


@pytest.mark.parametrize(
    "transpose",
    [
        {"kernel": (1, 0)},
        {"kernel": lambda x: x.T, "*": None},
        jl.by_path({"kernel": [1, 0], "*": None}),
        lambda path, x: x.T if path == "dense/kernel" else x,
    ],
)
def test_axes_are_given_by_path_or_by_a_function(transpose: Any) -> None:
    x = np.arange(6.0).reshape(2, 3)
    state_dict = copy.deepcopy(SAVED_ADAM)
    state_dict["state"][0]["exp_avg"] = x
    state = pytorch.load_state_dict(
        jl.adam(0.1), PARAMS, state_dict, BOTH, transpose=transpose
    )
    np.testing.assert_array_equal(state[0].mu["dense"]["kernel"], x.T)


def test_square_arrays_are_turned_too() -> None:
    x = np.arange(4.0).reshape(2, 2)
    state_dict = state_dict_of([{**entry(2, 2), "exp_avg": x}])
    params = {"kernel": jnp.ones((2, 2))}
    state = pytorch.load_state_dict(
        jl.adam(0.1), params, state_dict, ["kernel"], TURNED
    )
    np.testing.assert_array_equal(state[0].mu["kernel"], x.T)


@pytest.mark.parametrize(
    ("tx", "entries"),
    [
        (pytorch.sgd(0.1, momentum=0.9), [{"momentum_buffer": None}, {}]),
        (pytorch.adam(0.1), []),
        (pytorch.rmsprop(0.1, momentum=0.9), [{}, {}]),
    ],
)
def test_what_has_no_buffer_yet_begins_at_the_beginning(tx: Any, entries: Any) -> None:
    state_dict = state_dict_of([{}, {}])
    state_dict["state"] = dict(enumerate(entries))
    state = pytorch.load_state_dict(tx, PARAMS, state_dict, BOTH)
    jax.tree.map(np.testing.assert_array_equal, state, tx.init(PARAMS))


def test_muon_has_the_momentum_of_pytorch() -> None:
    x = np.arange(6.0).reshape(3, 2)
    group = {"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.1, "ns_steps": 5}
    state_dict = {
        "state": {0: {"momentum_buffer": x}},
        "param_groups": [{**group, "params": [0]}],
    }
    params = {"kernel": jnp.ones((3, 2))}
    state = pytorch.load_state_dict(pytorch.muon(), params, state_dict, ["kernel"])
    np.testing.assert_array_equal(state[0].trace["kernel"], x)


def test_frozen_parameters_need_no_counterpart() -> None:
    tx = jl.chain(jl.adam(0.1), jl.freeze(jl.by_path({"kernel": True, "*": False})))
    state_dict = state_dict_of([entry(2)])
    state = pytorch.load_state_dict(tx, PARAMS, state_dict, ["dense/bias"])
    np.testing.assert_array_equal(state[0][0].mu["dense"]["bias"], np.ones(2))
    everything = pytorch.load_state_dict(tx, PARAMS, SAVED_ADAM, BOTH)
    jax.tree.map(np.testing.assert_array_equal, state, everything)


def test_a_parameter_of_pytorch_may_be_left_out() -> None:
    state_dict = state_dict_of([entry(5), entry(2)])
    params = {"bias": jnp.ones(2)}
    state = pytorch.load_state_dict(jl.adam(0.1), params, state_dict, [None, "bias"])
    np.testing.assert_array_equal(state[0].mu["bias"], np.ones(2))


# Warnings


def warning(tx: Any, state_dict: Any) -> tuple[str, Any]:
    """The text of the one warning of a load, and what was loaded."""
    with pytest.warns(UserWarning) as caught:
        state = pytorch.load_state_dict(tx, PARAMS, state_dict, BOTH, TURNED)
    (only,) = caught
    assert only.filename == __file__
    return str(only.message), state


def test_other_numbers_are_reported() -> None:
    state_dict = state_dict_of([entry(2, 3), entry(2)], weight_decay=0.01)
    tx = jl.adamw(
        jl.by_path({"bias": 0.1, "*": lambda count: 0.1 * 0.5**count}),
        b2=0.99,
        weight_decay=jnp.asarray(0.02),
    )
    assert warning(tx, state_dict)[0] == (
        "load_state_dict: some numbers are not those of the state dict.\n"
        "  lr: 0.0125 here, 0.1 in PyTorch at 'dense/kernel'\n"
        "  betas[1]: 0.99 here, 0.999 in PyTorch at 'dense/kernel', 'dense/bias'\n"
        "  weight_decay: 0.02 here, 0.01 in PyTorch at 'dense/kernel', 'dense/bias'\n"
        "The optimizer's are in force: make it with PyTorch's, unless that is meant."
    )


@pytest.mark.parametrize(
    ("tx", "group", "text"),
    [
        (jl.adam(0.1), {"weight_decay": 0.1}, "weight_decay: 0 here, 0.1 in PyTorch"),
        (jl.adam(0.1), {"maximize": True}, "maximize: False here, True in PyTorch"),
        (
            jl.adamw(0.1, weight_decay=0.1),
            {"weight_decay": 0.1, "decoupled_weight_decay": False},
            "decoupled_weight_decay: True here, False in PyTorch",
        ),
        (
            jl.adamw(0.1, weight_decay=0.1, mask=jl.weights_only),
            {"weight_decay": 0.1},
            "weight_decay: 0 here, 0.1 in PyTorch at 'dense/bias'\n",
        ),
        (
            jl.inject_hyperparams(jl.adam)(0.2),
            {},
            "lr: 0.2 here, 0.1 in PyTorch",
        ),
        (
            jl.chain(INNER, jl.scale_by_learning_rate(0.1), RATE),
            {},
            "lr: 0.003 here, 0.1 in PyTorch",
        ),
    ],
)
def test_numbers_are_those_in_force_for_the_parameter(
    tx: Any, group: Any, text: str
) -> None:
    state_dict = state_dict_of([entry(2, 3), entry(2)], **group)
    assert f"\n  {text}" in warning(tx, state_dict)[0]


def test_where_nothing_decays_it_does_not_matter_how() -> None:
    group = {"weight_decay": 0, "decoupled_weight_decay": False}
    state_dict = state_dict_of([entry(2, 3), entry(2)], **group)
    text, _ = warning(jl.adamw(0.1, weight_decay=0.1), state_dict)
    assert "weight_decay: 0.1 here, 0 in PyTorch" in text
    assert "decoupled" not in text


def test_numbers_that_are_traced_are_not_compared() -> None:
    def count(rate: jax.Array) -> Any:
        tx = jl.adam(rate)
        state = pytorch.load_state_dict(tx, PARAMS, SAVED_ADAM, BOTH, TURNED)
        return state[0].count

    assert jax.vmap(count)(jnp.ones(2)).tolist() == [3, 3]


def test_a_rate_of_which_a_factor_is_traced_is_not_compared() -> None:
    def count(rate: jax.Array) -> Any:
        tx = jl.chain(jl.adam(rate), RATE)
        state = pytorch.load_state_dict(tx, PARAMS, SAVED_ADAM, BOTH, TURNED)
        return state[0][0].count

    assert jax.vmap(count)(jnp.ones(2)).tolist() == [3, 3]


def test_parameters_that_took_fewer_steps_are_reported() -> None:
    state_dict = state_dict_of([entry(2, 3), {}])
    text, state = warning(jl.adam(0.1), state_dict)
    assert state[0].count == 3
    assert text == (
        "load_state_dict: some parameters took fewer steps than others.\n"
        "  'dense/bias': 0 steps of 3\n"
        "One count stands for all here: what the rules make of it, such as the bias "
        "correction, is that of the others. Give such parameters a group of their own "
        "in `partition`."
    )


def test_slots_that_pytorch_has_nothing_for_are_reported() -> None:
    tx = jl.chain(jl.adam(0.1), jl.ema(0.9))
    text, state = warning(tx, SAVED_ADAM)
    assert state[1].count == 0
    assert text == (
        "load_state_dict: PyTorch keeps nothing for DebiasedEma, which begins anew."
    )


# Errors


def message(
    kind: type[Exception], tx: Any, state_dict: Any, names: Any = BOTH, **others: Any
) -> str:
    """The text of the one error of a load."""
    with pytest.raises(kind) as caught:
        pytorch.load_state_dict(tx, PARAMS, state_dict, names, **others)
    assert type(caught.value) is kind
    return str(caught.value)


def test_shapes_that_fit_only_transposed() -> None:
    assert message(ValueError, jl.adam(0.1), SAVED_ADAM) == (
        "load_state_dict: 1 parameter has state of another shape.\n"
        "  'dense/kernel': exp_avg float64[2,3], parameter float32[3,2], which its "
        "axes (1, 0) have\n"
        "Give the axes of PyTorch's that ours are, of square arrays too: "
        "transpose={'dense/kernel': (1, 0)}; a pattern such as '*kernel' stands for "
        "many."
    )


def test_shapes_that_do_not_fit() -> None:
    state_dict = state_dict_of([entry(2, 5), entry(3)])
    assert message(ValueError, jl.adam(0.1), state_dict) == (
        "load_state_dict: 2 parameters have state of another shape.\n"
        "  'dense/bias': exp_avg float64[3], parameter float32[2]\n"
        "  'dense/kernel': exp_avg float64[2,5], parameter float32[3,2]\n"
        "Expected equal shapes: pass each parameter's name in `names`."
    )


@pytest.mark.parametrize(
    ("theirs", "ours", "axes"),
    [
        ((8, 3, 5, 4), (5, 4, 3, 8), "(2, 3, 1, 0)"),
        ((8, 3, 5), (5, 3, 8), "(2, 1, 0)"),
        ((3, 3, 5, 5), (5, 5, 3, 3), "(2, 3, 1, 0)"),
        ((8, 3, 5), (3, 8, 5), "(1, 0, 2)"),
    ],
)
def test_the_axes_that_fit_are_the_usual_ones(
    theirs: Any, ours: Any, axes: str
) -> None:
    params = {"kernel": jnp.ones(ours)}
    state_dict = state_dict_of([entry(*theirs)])
    with pytest.raises(ValueError, match=re.escape(f"its axes {axes} have")):
        pytorch.load_state_dict(jl.adam(0.1), params, state_dict, ["kernel"])


def test_an_optimizer_of_another_kind() -> None:
    others = {"transpose": TURNED}
    tx = pytorch.sgd(0.1, momentum=0.9)
    assert message(ValueError, tx, SAVED_ADAM, **others) == (
        "load_state_dict: the state of 2 parameters is of another kind than the "
        "optimizer keeps.\n"
        "  'dense/bias': found exp_avg, exp_avg_sq of Adam, expected momentum_buffer "
        "of SGD or RMSprop for Trace\n"
        "  'dense/kernel': found exp_avg, exp_avg_sq of Adam, expected "
        "momentum_buffer of SGD or RMSprop for Trace\n"
        "Expected the state dict of the optimizer that this one continues: make it "
        "with the function of that name in `interop.pytorch`, and the flags that "
        "PyTorch's had."
    )


@pytest.mark.parametrize(
    ("tx", "text"),
    [
        (jl.sgd(0.1), "expected nothing"),
        (jl.lion(0.1), "expected what LionFromNewMean keeps and PyTorch does not"),
        (jl.nadam(0.1), "expected what NesterovAdam keeps and PyTorch does not"),
        (jl.amsgrad(0.1), "expected what ScaleByAmsgrad keeps and PyTorch does not"),
        (pytorch.radam(0.1), "expected exp_avg, exp_avg_sq of RAdam for Radam"),
        (
            pytorch.adam(0.1, amsgrad=True),
            "expected exp_avg, exp_avg_sq, max_exp_avg_sq of Adam for Amsgrad",
        ),
        (
            jl.chain(jl.trace(0.9), jl.adam(0.1)),
            "expected momentum_buffer of SGD or RMSprop for Trace; "
            "exp_avg, exp_avg_sq of Adam for ScaleByAdam",
        ),
    ],
    ids=lambda x: str(x)[:40],
)
def test_what_is_kept_must_be_what_was_kept(tx: Any, text: str) -> None:
    found = message(ValueError, tx, SAVED_ADAM, transpose=TURNED)
    assert f"'dense/bias': found exp_avg, exp_avg_sq of Adam, {text}\n" in found


def test_a_momentum_of_steps_is_none_of_directions() -> None:
    case = plain("RMSprop", momentum=0.9)
    with pytest.raises(ValueError, match="the learning rate comes before the momentum"):
        load(jl.rmsprop(0.03, 0.99, eps_in_sqrt=False, momentum=0.9), case)


def test_missing_parameters() -> None:
    found = message(ValueError, jl.adam(0.1), state_dict_of([]), [])
    assert found == (
        "load_state_dict: 2 parameters are missing.\n"
        "  'dense/bias': not in the state dict\n"
        "  'dense/kernel': not in the state dict\n"
        "Expected one of PyTorch's for each that the optimizer keeps state for: name "
        "it in `names`, or `freeze` or mask it here."
    )


def test_unknown_names() -> None:
    names = ["dense.kernl", "dense/bias"]
    assert message(ValueError, jl.adam(0.1), SAVED_ADAM, names) == (
        "load_state_dict: the names of 1 of 2 parameters do not fit.\n"
        "  'parameter 0': 'dense/kernl' is no parameter; the nearest is "
        "'dense/kernel'\n"
        "Expected a path of its own for each, or None to leave it out: give `names`. "
        "There are 'dense/bias', 'dense/kernel'."
    )


def test_a_path_that_two_parameters_have() -> None:
    found = message(ValueError, jl.adam(0.1), SAVED_ADAM, ["dense/bias"] * 2)
    assert "\n  'parameter 0': 'dense/bias' stands 2 times\n" in found
    assert "\n  'parameter 1': 'dense/bias' stands 2 times\n" in found


def test_names_that_are_not_of_the_state_dict() -> None:
    names = {"0.weight": "dense/kernel", 1: "dense/bias"}
    assert message(ValueError, jl.adam(0.1), SAVED_ADAM, names) == (
        "load_state_dict: `names` and the state dict do not match.\n"
        "  'parameter 0': no name is given\n"
        "  '0.weight': not in the state dict\n"
        "Expected our path, or None, for each index: it has no names."
    )
    named = state_dict_of([entry(2)], param_names=["0.bias"])
    found = message(ValueError, jl.adam(0.1), named, {"0.weight": "dense/kernel"})
    assert "\n  '0.bias': no name is given\n  '0.weight': not in" in found
    assert found.endswith("Expected our path, or None, for each name in it.")


def test_too_few_names() -> None:
    assert message(ValueError, jl.adam(0.1), SAVED_ADAM, BOTH[:1]) == (
        "load_state_dict: `names` has 1 entry for 2 parameters; expected one for each, "
        "in the order of the groups, None to leave it out."
    )


def test_no_names() -> None:
    assert message(ValueError, jl.adam(0.1), SAVED_ADAM, None) == (
        "load_state_dict: the state dict has no names for 'parameter 0', "
        "'parameter 1'; expected `names`, our path of each in the order of its "
        "groups. An optimizer made of `model.named_parameters()` saves its own."
    )


def test_an_unknown_number_of_steps() -> None:
    case = plain("SGD", momentum=0.9)
    tx = pytorch.sgd(scheduled, momentum=0.9)
    with pytest.raises(ValueError, match=r"count=scheduler\.last_epoch"):
        load(tx, case, count=None)
    _, state, _ = load(tx, case, count=7)
    assert state[1].count == 7
    load(pytorch.sgd(0.03, momentum=0.9), case, count=None)
    idle = jl.partition(
        {"all": tx, "none": tx}, lambda p: jax.tree.map(lambda x: "all", p)
    )
    load(idle, case, count=7)
    with pytest.raises(ValueError, match="count is 7, and the state dict is of step 1"):
        load(pytorch.adam(0.03), ADAM, count=7)
    with pytest.raises(ValueError, match="count is -1"):
        load(tx, case, count=-1)


@pytest.mark.parametrize(
    ("state_dict", "text"),
    [
        ([], "the state dict is a list; expected one with 'state'"),
        ({"optimizer": SAVED_ADAM}, "the state dict is a dict of 'optimizer'; expec"),
        ({}, "the state dict is a dict of nothing; expected"),
    ],
)
def test_no_state_dict(state_dict: Any, text: str) -> None:
    found = message(TypeError, jl.adam(0.1), state_dict)
    assert text in found and found.endswith("as `optimizer.state_dict()` gives.")


@pytest.mark.parametrize(
    ("kind", "part", "text"),
    [
        (TypeError, {"state": [1]}, "'state': a list"),
        (TypeError, {"state": {0: 3, 1: entry(2)}}, "'state[0]': 3, an int"),
        (TypeError, {"param_groups": {"params": [0]}}, "'param_groups': a dict"),
        (TypeError, {"param_groups": [7]}, "'param_groups[0]': 7, an int"),
        (TypeError, {"param_groups": [{}]}, "'param_groups[0]': has no 'params'"),
        (
            ValueError,
            {"state": {"0": entry(2, 3), "1": entry(2)}},
            "\"state['1']\": is of no parameter in the groups",
        ),
        (
            ValueError,
            {"param_groups": [{"params": [0, 1, 1]}]},
            "'parameter 1': stands 2 times in the groups",
        ),
        (
            ValueError,
            {"param_groups": [{"params": [0, 1], "param_names": ["a"]}]},
            "'param_groups[0]': 1 names of 2 parameters",
        ),
    ],
)
def test_parts_that_are_not_as_pytorch_makes_them(
    kind: type[Exception], part: Any, text: str
) -> None:
    found = message(kind, jl.adam(0.1), SAVED_ADAM | part)
    head, *problems, _ = found.splitlines()
    assert head.startswith("load_state_dict: ") and f"  {text}" in problems


@pytest.mark.parametrize(
    ("step", "text"),
    [(3.5, "is 3.5"), (np.nan, "is nan"), (np.ones(2), "is float32[2]")],
)
def test_a_step_is_one_whole_number(step: Any, text: str) -> None:
    found = message(
        ValueError, jl.adam(0.1), state_dict_of([entry(2, 3, step=step)]), BOTH[:1]
    )
    assert found == (
        f"load_state_dict: the step of 'parameter 0' {text}; expected one whole "
        f"number, of the steps that were taken."
    )


def test_what_shows_its_rules_to_nobody_is_refused() -> None:
    for tx, name in (
        (optax.adam(0.1), "FromFunctions"),
        (jl.flatten(jl.adam(0.1)), "Flatten"),
    ):
        found = message(TypeError, tx, SAVED_ADAM)
        assert found.startswith(
            f"load_state_dict: what a {name} keeps cannot be loaded"
        )
    text, _ = warning(jl.chain(jl.adam(0.1), optax.ema(0.9)), SAVED_ADAM)
    assert text.endswith("nothing for FromFunctions, which begins anew.")
    with pytest.raises(TypeError, match="the parameters are shapes; expected arrays"):
        pytorch.load_state_dict(jl.adam(0.1), jax.eval_shape(lambda: PARAMS), {})


def test_names_and_axes_of_no_such_kind() -> None:
    found = message(TypeError, jl.adam(0.1), SAVED_ADAM, "dense")
    assert "names is 'dense', a str; expected a list of paths" in found
    found = message(TypeError, jl.adam(0.1), SAVED_ADAM, [0, 1])
    assert "names holds 0, an int; expected our path of each parameter" in found
    found = message(TypeError, jl.adam(0.1), SAVED_ADAM, transpose=(1, 0))
    assert "transpose is (1, 0); expected a dict from patterns" in found


def test_axes_that_are_not_those_of_an_array() -> None:
    found = message(ValueError, jl.adam(0.1), SAVED_ADAM, transpose={"*": (1, 0)})
    assert found == (
        "load_state_dict: the axes in `transpose` are not those of 2 arrays.\n"
        "  'dense/bias': axes (1, 0), exp_avg float64[2]\n"
        "  'dense/bias': axes (1, 0), exp_avg_sq float64[2]\n"
        "Expected for each axis of ours which of PyTorch's it is, such as (1, 0); or "
        "a function of the array; or None."
    )
    with pytest.warns(UserWarning, match="'conv' *; the nearest path is"):
        pytorch.load_state_dict(
            jl.adam(0.1), PARAMS, SAVED_ADAM, BOTH, {"kernel": (1, 0), "conv": (0,)}
        )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_torch_itself_goes_on(case: Case, x64: None) -> None:
    pytest.importorskip("torch")
    from tests.golden.record_pytorch_states import run

    first, state_dict, last = run(case)
    params = jax.tree.map(jnp.asarray, state_cases.ours(arrays(first)))
    tx = make(case)
    count = SAVED if case.optimizer == "SGD" else None
    names = PATHS if case.is_named else LISTED
    state = pytorch.load_state_dict(tx, params, state_dict, names, AXES, count=count)
    found, _ = proceed(tx, case, AFTER, params, state)
    assert error(found, state_cases.ours(arrays(last))) < 1e-12


def arrays(tensors: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in tensors.items()}
