"""Other libraries: their optimizers, their formulas, their states and their loops."""

from jaxopt_lite.interop.carry import from_optax as from_optax
from jaxopt_lite.interop.carry import to_optax as to_optax
from jaxopt_lite.interop.carry import to_optax_state as to_optax_state
from jaxopt_lite.interop.checkpoints import flatten_state as flatten_state
from jaxopt_lite.interop.checkpoints import restore_state as restore_state
