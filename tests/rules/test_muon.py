"""Newton-Schulz and Muon, beyond what the table of all transformations shows."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core import lift
from tests.helpers import assert_close, at, relative_error, run, trajectory
from tests.reference.matrix import DION, orthogonalize
from tests.table import Case

orthogonal = jax.jit(
    jl.orthogonalize_via_newton_schulz, static_argnames=("ns_steps", "preconditioning")
)
CONVERGENT = ((2.0, -1.5, 0.5),) * 12
PRECONDITIONINGS = ["frobenius", "spectral", "aol", "schatten"]


def matrix(*shape, dtype=np.float64):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_singular_values_follow_the_polynomial(preconditioning, shape, x64):
    x = matrix(*shape)
    for coefficients in ((2.0, -1.5, 0.5), DION):
        given = {"ns_coeffs": coefficients, "preconditioning": preconditioning}
        found = orthogonal(x, **given)
        assert_close(found, orthogonalize(x, **given))


@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
def test_complex_matrix_becomes_unitary(preconditioning, x64):
    x = matrix(3, 5) + 1j * matrix(5, 3).T
    u = orthogonal(x, CONVERGENT, preconditioning=preconditioning)
    assert_close(jnp.abs(u @ u.conj().T), np.eye(3), 1e-10)


@pytest.mark.parametrize("preconditioning", PRECONDITIONINGS)
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_zero_stays_zero(preconditioning, eps):
    given = {"preconditioning": preconditioning, "eps": eps}
    for x in (jnp.zeros((2, 3), jnp.float16), jnp.zeros((0, 3))):
        u = orthogonal(x, **given)
        assert u.dtype == x.dtype
        assert jnp.array_equal(u, x)


def test_bfloat16_is_orthogonalized_in_float32():
    """In bfloat16 the error is ten times as large."""
    x = jnp.asarray(matrix(64, 64), jnp.bfloat16)
    exact = orthogonalize(np.float64(x))
    error = relative_error(orthogonal(x), exact)
    tx = optax.contrib.scale_by_muon(
        weight_dimension_numbers=optax.contrib.MuonDimensionNumbers()
    )
    assert error <= jnp.finfo(jnp.bfloat16).eps / 2
    assert relative_error(tx.update(x, tx.init(x))[0], exact) > 3 * error


def test_float32_error_is_that_of_optax():
    """Many roundings, each of which the iteration makes larger: chance decides."""
    like = np.zeros((16, 32), np.float32)
    g, p = trajectory(like, 1), trajectory(like, 2)
    case = Case("muon", {"learning_rate": 0.03})
    exact = case.reference(g, p)
    error = relative_error(case.run(g, p).updates, exact)
    assert error <= 3e-6
    assert error <= 1.5 * relative_error(case.run_theirs(g, p).updates, exact)


def test_coefficients_are_read_from_the_state_and_kept(x64):
    like = {"w": np.zeros((3, 4), np.float32)}
    g = at(trajectory(like, 1, steps=1), 0)
    tx = jl.scale_by_muon()
    begun = tx.init(like)
    other = begun._replace(ns_coeffs=jnp.array([2.0, -1.5, 0.5]))
    u, state = tx.update(g, other)
    expected, _ = jl.scale_by_muon(CONVERGENT[:5]).update(
        g, jl.scale_by_muon(CONVERGENT[:5]).init(like)
    )
    assert_close(u, expected)
    assert jnp.array_equal(tx.update(g, begun)[1].ns_coeffs, begun.ns_coeffs)
    assert state.ns_coeffs.dtype == begun.ns_coeffs.dtype


def test_goes_on_from_a_state_of_optax(x64):
    like = {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)}
    g, tx = trajectory(like, 1), optax.contrib.muon(0.1)
    midway = run(tx, at(g, slice(49)), at(g, slice(49))).state
    u, _ = jl.muon(0.1).update(at(g, 49), midway, at(g, 49))
    assert_close(u, at(run(tx, g, g).updates, 49))


def test_coefficients_may_be_swept():
    x = jnp.asarray(matrix(2, 3, dtype=np.float32))
    sweep = jnp.array([[2.0, -1.5, 0.5], [3.4445, -4.7750, 2.0315]])

    def update(coefficients):
        tx = jl.scale_by_muon(coefficients)
        return tx.update(x, tx.init(x))[0]

    each = jnp.stack([update(tuple(map(float, c))) for c in sweep])
    assert_close(jax.vmap(update)(sweep), each, 1e-5)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"ns_steps": 0}, "ns_steps is 0; expected an integer, at least 1"),
        ({"preconditioning": "l2"}, "expected one of 'frobenius', 'spectral'"),
        ({"ns_coeffs": "muon"}, "expected 'standard' or 'dion'"),
        ({"ns_coeffs": (1.0, 2.0)}, "expected three numbers"),
        ({"ns_coeffs": ()}, "expected three numbers"),
        ({"ns_coeffs": np.zeros((2, 2))}, "expected three numbers"),
    ],
)
def test_arguments_are_checked(arguments, text):
    with pytest.raises(ValueError, match=text):
        jl.muon(0.1, **arguments)


def stacked(count, shape):
    random = np.random.default_rng(0)
    return {str(i): jnp.asarray(random.normal(size=shape)) for i in range(count)}


def update(tx, g, **options):
    return jax.jit(tx.update, **options)(g, tx.init(g))[0]


def factors(g):
    """The shapes that stand on the left in products of matrices."""
    tx = jl.scale_by_muon()
    text = jax.jit(tx.update).lower(g, tx.init(g)).as_text()
    return set(re.findall(r"dot_general.*: \(tensor<([x\d]+)xf", text))


def test_matrices_of_one_shape_are_multiplied_together():
    g = {**stacked(5, (4, 6)), "tall": jnp.ones((6, 4))}
    assert factors(g) == {"5x4x6", "5x4x4", "4x6", "4x4"}


@pytest.mark.parametrize("largest", [1, 48, 10**6])
def test_a_stack_computes_what_each_matrix_does_alone(largest, x64, monkeypatch):
    monkeypatch.setattr(lift, "_LARGEST_STACK", largest)
    g = stacked(5, (4, 6))
    together = update(jl.scale_by_muon(), g)
    for name, x in g.items():
        alone = update(jl.scale_by_muon(), {"only": x})["only"]
        np.testing.assert_allclose(together[name], alone, rtol=1e-12, atol=1e-13)


def test_stacks_are_bounded(monkeypatch):
    monkeypatch.setattr(lift, "_LARGEST_STACK", 48)
    assert factors(stacked(5, (4, 6))) == {"2x4x6", "2x4x4", "4x6", "4x4"}


def test_other_settings_and_dtypes_make_another_stack():
    g = {**stacked(2, (4, 6)), "half": jnp.ones((4, 6), jnp.bfloat16)}
    rates = jl.by_path({"0": 1.0, "*": 2.0})
    tx = jl.chain(jl.scale_by_muon(), jl.scale_by_learning_rate(rates))
    found, muon = update(tx, g), update(jl.scale_by_muon(), g)
    for name, rate in {"0": 1.0, "1": 2.0, "half": 2.0}.items():
        expected = -rate * muon[name].astype("float32")
        np.testing.assert_allclose(found[name].astype("float32"), expected, rtol=1e-2)
        assert found[name].dtype == g[name].dtype


def test_bfloat16_products_are_near_those_of_float32():
    g = stacked(3, (32, 48))
    exact, near = (
        update(jl.scale_by_muon(ns_dtype=dtype), g) for dtype in (None, jnp.bfloat16)
    )
    for name in g:
        assert near[name].dtype == exact[name].dtype
        error = jnp.linalg.norm(near[name] - exact[name])
        # Jordan's iteration multiplies rounding of 2**-9 by up to 3.4 in every step.
        assert 1e-3 < error / jnp.linalg.norm(exact[name]) < 0.1


def test_the_dtype_of_products_is_floating_point():
    with pytest.raises(TypeError, match="the dtype of ns_dtype is 'int8'"):
        jl.scale_by_muon(ns_dtype="int8")
