"""Newton-Schulz and Muon, beyond what the table of all transformations shows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
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
