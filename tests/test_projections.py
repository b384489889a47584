"""A projection is the nearest point of its set."""

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import optax
import pytest

from jaxopt_lite import projections, tree

rng = np.random.default_rng(0)
X = {"w": rng.normal(size=(2, 3)) * 2, "n": None, "b": (rng.normal(size=2),)}
A = jax.tree.map(lambda x: rng.normal(size=x.shape), X)
N = 8
SCALE = 1.5


def vector(t):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)]).astype(float)


def on_simplex(count):
    return SCALE * rng.dirichlet(np.ones(N), count)


def signed(points):
    return points * rng.choice([-1, 1], points.shape)


def on_ball(count):
    points = rng.normal(size=(count, N))
    return SCALE * points / np.linalg.norm(points, axis=1, keepdims=True)


def inner(points):
    return points * rng.uniform(size=(len(points), 1))


def in_halfspace(count):
    a, points = vector(A), 3 * rng.normal(size=(count, N))
    return points - np.outer(np.maximum(points @ a - 0.5, 0) / (a @ a), a)


def on_plane(count):
    a, points = vector(A), 3 * rng.normal(size=(count, N))
    return points - np.outer((points @ a - 0.5) / (a @ a), a)


LOWER = jax.tree.map(lambda x: np.full_like(x, -0.5), X)

# The arguments after the tree, and a sample of the set.
CASES = {
    "non_negative": ((), lambda n: np.abs(rng.normal(size=(n, N)))),
    "box": ((LOWER, 0.25), lambda n: rng.uniform(-0.5, 0.25, size=(n, N))),
    "hypercube": ((SCALE,), lambda n: rng.uniform(0, SCALE, size=(n, N))),
    "simplex": ((SCALE,), on_simplex),
    "l1_sphere": ((SCALE,), lambda n: signed(on_simplex(n))),
    "l1_ball": ((SCALE,), lambda n: inner(signed(on_simplex(n)))),
    "l2_sphere": ((SCALE,), on_ball),
    "l2_ball": ((SCALE,), lambda n: inner(on_ball(n))),
    "linf_ball": ((SCALE,), lambda n: rng.uniform(-SCALE, SCALE, size=(n, N))),
    "vector": ((A,), lambda n: rng.normal(size=(n, 1)) * vector(A)),
    "hyperplane": ((A, 0.5), on_plane),
    "halfspace": ((A, 0.5), in_halfspace),
}
SPHERES = {"l1_sphere", "l2_sphere"}


def call(name, *arguments, library=projections):
    return getattr(library, f"projection_{name}")(*arguments)


def test_every_projection_of_optax_is_there():
    def names(library):
        return {n for n in dir(library) if n.startswith("projection_")}

    assert names(projections) == names(optax.projections)
    assert {f"projection_{name}" for name in CASES} == names(projections)


@pytest.mark.parametrize("size", [1.0, 0.05])
@pytest.mark.parametrize("name", CASES)
def test_no_point_of_the_set_is_nearer(name, size, x64):
    """And for a convex set, none lies on the other side of the plane through it."""
    arguments, sample = CASES[name]
    x = tree.scale(size, X)
    nearest = vector(call(name, x, *arguments))
    again = vector(call(name, call(name, x, *arguments), *arguments))
    np.testing.assert_allclose(again, nearest, atol=1e-12)
    points = sample(2000)
    distance = np.linalg.norm(vector(x) - nearest)
    assert distance <= np.linalg.norm(vector(x) - points, axis=1).min() + 1e-12
    if name not in SPHERES:
        assert ((points - nearest) @ (vector(x) - nearest)).max() <= 1e-9


@pytest.mark.parametrize("name", CASES)
def test_it_equals_optax(name, x64):
    arguments, _ = CASES[name]
    if name == "hypercube":  # Optax's takes a number for bare arrays only
        arguments = (tree.full_like(X, SCALE),)
        theirs = optax.projections.projection_box(X, tree.zeros_like(X), *arguments)
    elif name == "box":
        theirs = optax.projections.projection_box(X, LOWER, tree.full_like(X, 0.25))
    else:
        theirs = call(name, X, *arguments, library=optax.projections)
    ours = call(name, X, *arguments)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    np.testing.assert_allclose(vector(ours), vector(theirs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_differences(name, x64):
    """In every number that may be traced, too."""
    arguments, _ = CASES[name]
    weights = jax.tree.map(lambda x: rng.normal(size=x.shape), X)
    arguments = tuple(jnp.asarray(a) if np.isscalar(a) else a for a in arguments)

    @jax.jit
    def f(x, *arguments):
        return tree.vdot(weights, call(name, x, *arguments))

    jax.test_util.check_grads(f, (X, *arguments), order=1, modes=["rev"], rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_dtypes_stay_and_nothing_is_nan_at_zero(name):
    arguments, _ = CASES[name]
    for dtype in (jnp.bfloat16, jnp.float32):
        zero = tree.zeros_like(X, dtype)
        projected = call(name, zero, *tree.cast(list(arguments), jnp.float32))
        assert {x.dtype for x in jax.tree.leaves(projected)} == {jnp.dtype(dtype)}
        assert np.isfinite(vector(projected)).all()
    nothing = {"n": None}
    given = [nothing if a is A else 1.0 for a in arguments]
    assert call(name, nothing, *given) == nothing


def test_what_optax_misses():
    # A zero element gets its share of the sphere.
    inside = jnp.array([0.5, 0.0])
    np.testing.assert_allclose(call("l1_sphere", inside), [0.75, 0.25])
    assert not optax.projections.projection_l1_sphere(inside)[1]
    # Elements that are large and close together keep their digits.
    large = jnp.float32(2**24) + jnp.array([0.0, 2.0])
    np.testing.assert_allclose(call("simplex", large, 4.0), [1, 3])
    # A sphere, a ball and a simplex without extent are a point.
    for name in ("simplex", "l1_ball", "l2_ball", "l2_sphere", "linf_ball"):
        np.testing.assert_array_equal(call(name, jnp.array([1.0, 0.0]), 0.0), [0, 0])
    np.testing.assert_array_equal(call("vector", jnp.ones(2), jnp.zeros(2)), [0, 0])
    # Without a normal there is no plane.
    for name in ("hyperplane", "halfspace"):
        np.testing.assert_array_equal(
            call(name, jnp.ones(2), jnp.zeros(2), -1.0), [1, 1]
        )
    np.testing.assert_allclose(
        call("l2_ball", jnp.array([3e20, 4e20])), [0.6, 0.8], rtol=1e-6
    )


def test_complex_trees_are_vectors_of_their_parts(x64):
    def parts(z):
        return np.stack([z.real, z.imag])

    z = rng.normal(size=5) + 1j * rng.normal(size=5)
    a = rng.normal(size=5) + 1j * rng.normal(size=5)
    np.testing.assert_allclose(parts(call("l2_ball", z)), call("l2_ball", parts(z)))
    np.testing.assert_allclose(
        parts(call("halfspace", z, a, 0.1)),
        call("halfspace", parts(z), parts(a), 0.1),
    )
    np.testing.assert_allclose(np.vdot(a, call("hyperplane", z, a, 0.5)), 0.5)
    np.testing.assert_allclose(np.abs(call("l1_sphere", z)).sum(), 1)
    np.testing.assert_allclose(
        call("linf_ball", z, 0.5), z / np.maximum(1, abs(z) / 0.5)
    )
    along = call("vector", z, a)
    np.testing.assert_allclose(np.vdot(a, z - along), 0, atol=1e-12)


@pytest.mark.parametrize("name", ["simplex", "l1_ball", "l2_sphere", "linf_ball"])
def test_a_negative_scale_is_refused(name):
    with pytest.raises(ValueError, match="scale is -1"):
        call(name, jnp.ones(2), -1)
