"""Arithmetic of trees, and what reads and writes their parts.

Each is `jax.tree` with one operation, by path: trees of different containers fit as
long as their paths do, None and masked leaves stay what they are, and errors name the
leaf. The names are those of `optax.tree`.
"""

from jaxopt_lite.tree.elementwise import add as add
from jaxopt_lite.tree.elementwise import add_scale as add_scale
from jaxopt_lite.tree.elementwise import batch_shape as batch_shape
from jaxopt_lite.tree.elementwise import cast as cast
from jaxopt_lite.tree.elementwise import cast_like as cast_like
from jaxopt_lite.tree.elementwise import clip as clip
from jaxopt_lite.tree.elementwise import conj as conj
from jaxopt_lite.tree.elementwise import div as div
from jaxopt_lite.tree.elementwise import full_like as full_like
from jaxopt_lite.tree.elementwise import mul as mul
from jaxopt_lite.tree.elementwise import ones_like as ones_like
from jaxopt_lite.tree.elementwise import real as real
from jaxopt_lite.tree.elementwise import scale as scale
from jaxopt_lite.tree.elementwise import sub as sub
from jaxopt_lite.tree.elementwise import where as where
from jaxopt_lite.tree.elementwise import zeros_like as zeros_like
from jaxopt_lite.tree.moments import bias_correction as bias_correction
from jaxopt_lite.tree.moments import update_infinity_moment as update_infinity_moment
from jaxopt_lite.tree.moments import update_moment as update_moment
from jaxopt_lite.tree.moments import (
    update_moment_per_elem_norm as update_moment_per_elem_norm,
)
from jaxopt_lite.tree.random import random_like as random_like
from jaxopt_lite.tree.random import split_key_like as split_key_like
from jaxopt_lite.tree.random import unwrap_random_key_data as unwrap_random_key_data
from jaxopt_lite.tree.reductions import allclose as allclose
from jaxopt_lite.tree.reductions import dtype as dtype
from jaxopt_lite.tree.reductions import max as max
from jaxopt_lite.tree.reductions import min as min
from jaxopt_lite.tree.reductions import norm as norm
from jaxopt_lite.tree.reductions import size as size
from jaxopt_lite.tree.reductions import sum as sum
from jaxopt_lite.tree.reductions import vdot as vdot
from jaxopt_lite.tree.state import NamedTupleKey as NamedTupleKey
from jaxopt_lite.tree.state import get as get
from jaxopt_lite.tree.state import get_all_with_path as get_all_with_path
from jaxopt_lite.tree.state import map_params as map_params
from jaxopt_lite.tree.state import set as set
