"""Flax's loops, with what they leave out; Flax is imported when a name is asked for."""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Self, TypeAlias

import jax
from jax.tree_util import GetAttrKey

import jaxopt_lite
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.types import Params, State, Updates, cached

_Structure: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]
"""The names of the children of a state, and all its other fields."""


def __getattr__(name: str) -> Any:
    if name == "TrainState":
        return _train_state()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


@functools.cache
def _train_state() -> type:
    """The class, once."""
    try:
        from flax.training import train_state
    except ImportError as error:
        raise ImportError(
            "interop.flax.TrainState: Flax is not installed. Run `pip install flax`."
        ) from error

    class TrainState(_Methods, _Registered, train_state.TrainState):
        """Flax's `TrainState`, which passes keywords on and holds `tx` as a value.

        To use in place of `flax.training.train_state.TrainState`, whose subclass it is:
        with the same fields, `create` and `replace`, and made larger by subclassing.

            updates, opt_state = tx.update(grads, opt_state, params, **extra)
            params             = params + updates

        Three things are not Flax's:

        - `apply_gradients(grads=…, value=…, value_fn=…)`: a keyword that names a field
          replaces it, as in Flax, such as `batch_stats=…`. Every other one reaches
          `tx.update`, where Flax raises an error.
        - The arrays that `tx` holds are leaves of the state and no part of its
          structure: a jitted step is not traced anew for another learning rate
          (`state.replace(tx=adamw(jnp.array(1e-4)))`), and `vmap` and `grad` go through
          it. Without arrays it is structure, compared by value. Optax's transformations
          are structure as they are in Flax.
        - `eval_params` to evaluate with, `hyperparams` and `metrics` to look at: what
          `eval_params`, `get_hyperparams` and `metrics` give for its fields.

        A checkpoint is that of Flax's: `step`, `params`, `opt_state` and the fields of
        a subclass. `flax.serialization` leaves `tx` out and keeps the target's; Orbax
        sees the leaves, so a `tx` that holds arrays is saved with them.

        Attributes:
            step: how many steps were taken.
            apply_fn: what applies the model, usually `model.apply`; structure.
            params: the parameters, of any dtype and in any tree.
            tx: the transformation, this library's or Optax's.
            opt_state: its state.

        Raises:
            ImportError: if Flax is not installed.
            ValueError: from `flax.serialization`, if the fields saved are others.
            TypeError: from `create` and `apply_gradients`, if `tx` is none.

        Example:
            >>> import jax.numpy as jnp
            >>> import jaxopt_lite as jl
            >>> from jaxopt_lite.interop.flax import TrainState
            >>> state = TrainState.create(
            ...     apply_fn=None,
            ...     params={"w": jnp.ones(2)},
            ...     tx=jl.chain(jl.polyak_sgd(), jl.param_ema(0.5)),
            ... )
            >>> state = state.apply_gradients(grads={"w": jnp.ones(2)}, value=1.0)
            >>> state.params
            {'w': Array([0.5, 0.5], dtype=float32)}
        """

        __qualname__ = "TrainState"

    return TrainState


class _Methods:
    """What a `TrainState` does otherwise than Flax's, or beyond it."""

    params: Params
    tx: Any
    opt_state: State
    replace: Callable[..., Self]

    @classmethod
    def create(cls, *, tx: Any, **fields: Any) -> Self:
        """The state before the first step, with `apply_fn`, `params` and more."""
        as_transformation(tx, "TrainState: tx")
        stock: Any = super()
        return stock.create(tx=tx, **fields)

    def apply_gradients(self, *, grads: Updates, **extra: Any) -> Self:
        """The state after a step.

        Args:
            grads: the gradients.
            **extra: fields of the state to replace, and what `tx.update` takes.
        """
        names = _names(type(self))
        replaced = {k: x for k, x in extra.items() if k in names}
        passed = {k: x for k, x in extra.items() if k not in names}
        tx = as_transformation(self.tx, "TrainState: tx")
        # Flax's own step, with a `tx` to which the keywords are tied.
        update = functools.partial(tx.update, **passed)
        stock: Any = super(_Methods, self.replace(tx=SimpleNamespace(update=update)))
        stepped = stock.apply_gradients(grads=grads, **replaced)
        return stepped.replace(tx=replaced.get("tx", self.tx))

    @property
    def eval_params(self) -> Params:
        """The parameters to evaluate with: `jaxopt_lite.eval_params`."""
        return jaxopt_lite.eval_params(self.opt_state, self.params)

    @property
    def hyperparams(self) -> dict[str, Any]:
        """The numbers in force at the next step: `get_hyperparams`."""
        return jaxopt_lite.get_hyperparams(self.tx, self.opt_state)

    @property
    def metrics(self) -> dict[str, Any]:
        """What there is to log: `metrics`, the numbers in force among it."""
        return jaxopt_lite.metrics(self.tx, self.opt_state)


class _Registered:
    """Makes each subclass a pytree in which `tx` is a value, and known to Flax.

    Among the children there is a `tx` only where it has leaves, so that without arrays
    the tree, and with it a checkpoint, is that of Flax's `TrainState`.
    """

    _flax_dataclass: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        from flax import serialization

        made = dataclasses.dataclass(**{"frozen": True} | kwargs)(cls)
        made._flax_dataclass = True  # or `flax.struct.dataclass` would register it anew
        jax.tree_util.register_pytree_with_keys(
            made, _flatten_with_keys, functools.partial(_unflatten, made), _flatten
        )
        serialization.register_serialization_state(made, _to_saved, _from_saved)


def _flatten(state: Any) -> tuple[list[Any], _Structure]:
    children, structure = _flatten_with_keys(state)
    return [x for _, x in children], structure


def _flatten_with_keys(state: Any) -> tuple[list[tuple[Any, Any]], _Structure]:
    traced = _traced(type(state))
    if isinstance(state.tx, GradientTransformation) and jax.tree.leaves(state.tx):
        traced = (*traced, "tx")
    children = [(GetAttrKey(name), getattr(state, name)) for name in traced]
    names = _names(type(state))
    static = tuple((k, getattr(state, k)) for k in names if k not in traced)
    return children, (traced, static)


def _unflatten(cls: type, structure: _Structure, children: Iterable[Any]) -> Any:
    traced, static = structure
    state: Any = object.__new__(cls)
    for name, x in (*zip(traced, children, strict=True), *static):
        object.__setattr__(state, name, x)
    return state


def _to_saved(state: Any) -> dict[str, Any]:
    """What `flax.serialization` saves: all that is traced but `tx`."""
    from flax import serialization

    return {
        name: serialization.to_state_dict(getattr(state, name))
        for name in _traced(type(state))
    }


def _from_saved(state: Any, saved: dict[str, Any]) -> Any:
    """The state with what was saved.

    Raises:
        ValueError: naming the fields that were saved and those that were to be.
    """
    from flax import serialization

    names = _traced(type(state))
    if {*names} != saved.keys():
        raise ValueError(
            f"{type(state).__name__}: what was saved has the fields "
            f"{', '.join(sorted(saved))}; expected {', '.join(sorted(names))}. Restore "
            f"into a state of the class that was saved."
        )
    restored = {
        name: serialization.from_state_dict(getattr(state, name), saved[name], name)
        for name in names
    }
    return state.replace(**restored)


def _names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


@cached
def _traced(cls: type) -> tuple[str, ...]:
    """The fields of a class that Flax traces."""
    return tuple(
        field.name
        for field in dataclasses.fields(cls)
        if field.metadata.get("pytree_node", True)
    )
