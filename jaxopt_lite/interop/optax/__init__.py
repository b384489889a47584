"""This package under Optax's names: `from jaxopt_lite.interop import optax`.

Code that is written against Optax's transformations runs as it stands after this one
line. Every public name of `jaxopt_lite` is here, and Optax's sub-namespaces `contrib`,
`transforms`, `schedules`, `tree`, `tree_utils` and `projections` offer them too. A name
that is left out, such as a loss, raises an `AttributeError` that says where it is.
"""

from typing import Any

from jaxopt_lite.interop.optax import contrib as contrib
from jaxopt_lite.interop.optax import projections as projections
from jaxopt_lite.interop.optax import schedules as schedules
from jaxopt_lite.interop.optax import transforms as transforms
from jaxopt_lite.interop.optax import tree as tree
from jaxopt_lite.interop.optax import tree_utils as tree_utils
from jaxopt_lite.interop.optax.names import flat, look_up


def __getattr__(name: str) -> Any:
    return look_up("optax", flat(), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *flat()})
