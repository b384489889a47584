"""A state with the arrays that another has, and a report of what did not fit."""

import dataclasses
import warnings
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import Coded
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree
from jaxopt_lite.interop.derived import DERIVED, completed
from jaxopt_lite.interop.places import Key, Slot, are_one, matched, positions, slots
from jaxopt_lite.storage.read import decoded, encoded


class Fit(NamedTuple):
    """A slot, as `init` gives it, beside what was saved for it.

    Where that was kept in another form, `array` is it without codes; None where they
    cannot be read. `plain` has the shape and the dtype of the slot without codes.
    """

    slot: Slot
    plain: Any
    saved: Coded | None
    array: Any

    @property
    def is_other(self) -> bool:
        """Whether something was saved, in another form."""
        return self.saved is not None and _form(self.saved) != _form(self.slot.kept)

    @property
    def is_wider(self) -> bool:
        """Whether the slot does not hold all that was saved."""
        dtype = _raw(self.plain).dtype
        return self.is_other and jnp.result_type(self.array, dtype) != dtype

    @property
    def is_converted(self) -> bool:
        """Whether the dtypes of numbers differ, or codes were read or written."""
        dtype = _raw(self.plain).dtype
        if self.saved is None or not self.is_other or self.is_wider:
            return False
        kept = jnp.result_type(self.saved.codes), jnp.result_type(self.slot.kept.codes)
        return jnp.issubdtype(dtype, jnp.inexact) and {*kept} != {dtype}

    def kept(self) -> Coded:
        """What the slot holds: to the bit what was saved, where it was in its form.

        None where it is to be made of others.
        """
        old = self.slot.kept
        if self.saved is None:
            return Coded(None) if self.slot.key.field in DERIVED else old
        if not self.is_other:
            return Coded(*map(in_place_of, old, self.saved))
        array = jnp.array(self.array, _raw(self.plain).dtype)
        if jnp.result_type(_raw(old.codes)) == array.dtype and is_end(old.scales):
            return Coded(in_place_of(old.codes, array))
        field, path = self.slot.key
        coded = encoded(array, old, field, path or "")
        if coded is None:
            return Coded(placed_like(old.codes, array))
        return Coded(*map(in_place_of, old, coded))


def carried(where: str, saved: PyTree, tx: Any, params: Params) -> Any:
    """The state of a transformation with the arrays that were saved for it.

    Args:
        where: begins the texts of errors and warnings.
        saved: another state, or what a checkpoint has of one.
        tx: the transformation.
        params: its parameters.

    Raises:
        TypeError: if `tx` is no transformation, or there are shapes for arrays.
        ValueError: if nothing fits, shapes differ, or codes are of no known codec.
    """
    made = as_transformation(tx, f"{where}: the optimizer")
    known, flat = {*Flat(params).paths}, Flat(made.init(params))
    wanted, found = positions(flat, known), slots(saved, known)
    arrays = [_at(slot, flat.leaves) for slot in wanted]
    _refuse_shapes(where, "what was saved", found)
    _refuse_shapes(where, "the state of these parameters", arrays)
    uncoded = jax.eval_shape(made.mapped(_uncoded).init, params)
    plain, taken = _plain(arrays, slots(uncoded, known)), matched(wanted, found)
    fits = [
        _fit(slot, shape, None if j is None else found[j].kept)
        for slot, shape, j in zip(arrays, plain, taken, strict=True)
    ]
    if fits and all(fit.saved is None for fit in fits):
        raise ValueError(
            f"{where}: nothing of what was saved is of this optimizer and these "
            f"parameters: found {_listed(found)}; expected {_listed(wanted)}."
        )
    _check_codes(where, fits)
    _check_shapes(where, fits)
    _report(where, fits, _unused(found, taken))
    leaves = list(flat.leaves)
    for slot, fit in zip(wanted, fits, strict=True):
        for i, x in zip(slot.kept, fit.kept(), strict=True):
            if not is_end(i):
                leaves[i] = x
    return completed(flat.rebuild(leaves))


def _uncoded(tx: GradientTransformation) -> GradientTransformation:
    """A node of a transformation, its slots kept as arrays."""
    if not isinstance(tx, Leafwise):
        return tx
    return dataclasses.replace(tx, storage=dataclasses.replace(tx.storage, codec=None))


def _at(slot: Slot, leaves: Sequence[Any]) -> Slot:
    """A slot with the arrays at its positions."""
    return slot._replace(
        kept=Coded(*(i if is_end(i) else leaves[i] for i in slot.kept))
    )


def _plain(coded: Sequence[Slot], uncoded: Sequence[Slot]) -> list[Any]:
    """The shape of each slot without codes.

    The state may have a count more with codes, and then stands a node deeper.
    """
    alike = {slot.at: slot for slot in uncoded}
    there = {slot.at for slot in coded}
    deeper: defaultdict[Key, deque[Slot]] = defaultdict(deque)
    for slot in uncoded:
        if slot.at not in there:
            deeper[slot.key].append(slot)

    def shape(slot: Slot) -> Any:
        if slot.at not in alike and deeper[slot.key]:
            slot = deeper[slot.key].popleft()
        return alike.get(slot.at, slot).kept.codes

    return list(map(shape, coded))


def _fit(slot: Slot, plain: Any, saved: Coded | None) -> Fit:
    fit = Fit(slot, plain, saved, None)
    if saved is None or not fit.is_other:
        return fit
    return fit._replace(array=_array(saved, _raw(plain)))


def _array(saved: Coded, plain: Any) -> Any:
    """What was saved, without codes; None where they cannot be read."""
    codes, scales = saved
    if not is_end(scales):
        return decoded(jax.tree.map(jnp.asarray, saved), plain.shape)
    codes = _raw(codes)
    is_whole = not jnp.issubdtype(jnp.result_type(codes), jnp.inexact)
    are_codes = is_whole and jnp.issubdtype(plain.dtype, jnp.inexact)
    return None if are_codes and np.ndim(codes) else codes


def _raw(x: Any) -> Any:
    """An array, of random keys the numbers that they are."""
    dtype = getattr(x, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return x
    is_shape = isinstance(x, jax.ShapeDtypeStruct)
    numbers = jax.random.key_data
    return jax.eval_shape(numbers, x) if is_shape else numbers(x)


def _form(kept: Coded) -> list[Any]:
    """Shapes and dtypes of codes and scales."""
    parts = [x if is_end(x) else _raw(x) for x in kept]
    return [None if is_end(x) else (np.shape(x), jnp.result_type(x)) for x in parts]


def in_place_of(old: Any, new: Any) -> Any:
    """An array in the dtype of another, where that lies; it shares no memory."""
    if is_end(new):
        return new
    raw = _raw(old)
    placed = placed_like(raw, jnp.array(_raw(new), raw.dtype, copy=True))
    if _memory(placed) != _memory(raw):
        placed = jax.device_put(placed, raw.sharding)
    if raw is old:
        return placed
    return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(old))


def _memory(x: Any) -> Any:
    """In which memory of its devices an array lies, as far as can be seen."""
    return None if isinstance(x, jax.core.Tracer) else x.sharding.memory_kind


def _listed(found: Sequence[Slot]) -> str:
    return checks.listed([*dict.fromkeys(map(str, found))])


def _refuse_shapes(where: str, what: str, found: Sequence[Slot]) -> None:
    shapes = [str(x) for x in found if isinstance(x.kept.codes, jax.ShapeDtypeStruct)]
    if shapes:
        raise TypeError(
            f"{where}: {what} has shapes at {checks.listed(shapes)}; expected arrays."
        )


def _check_codes(where: str, fits: Sequence[Fit]) -> None:
    problems = [
        (fit.slot.key.path or "", f"{fit.slot.key.field} {_described(fit.saved)}")
        for fit in fits
        if fit.saved is not None and fit.is_other and fit.array is None
    ]
    if problems:
        checks.fail(
            f"{where}: the codes of {checks.plural(len(problems), 'array', 'arrays')} "
            f"are those of no codec of the package for the parameter.",
            problems,
            "Expected the state of parameters of these shapes: one that a codec of "
            "your own has written goes on with `store_state(tx, codec)`.",
            ValueError,
        )


def _described(kept: Coded) -> str:
    codes, scales = (checks.describe(x if is_end(x) else np.asarray(x)) for x in kept)
    return codes if is_end(kept.scales) else f"{codes} with scales {scales}"


def _check_shapes(where: str, fits: Sequence[Fit]) -> None:
    problems = []
    for fit in fits:
        expected = _raw(fit.plain).shape
        if fit.array is not None and np.shape(fit.array) != expected:
            text = f"{list(np.shape(fit.array))}, {list(expected)} here"
            field, path = fit.slot.key
            problems.append((path or fit.slot.at, f"{field} {text}"))
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'array is', 'arrays are')} of "
            f"another shape than what was saved.",
            problems,
            "Expected the state of the same parameters and arguments.",
            ValueError,
        )


def _unused(found: Sequence[Slot], taken: Sequence[int | None]) -> list[Slot]:
    """What was saved for nothing here.

    Of counts that are one none is missed, nor what can be made anew.
    """
    used, is_one = {*taken}, are_one(found)
    unused = [x for j, x in enumerate(found) if j not in used]
    return [
        x for x in unused if x.key.field not in DERIVED and not (x.is_count and is_one)
    ]


def _report(where: str, fits: Sequence[Fit], unused: Sequence[Slot]) -> None:
    """Warns of all that was not carried over as it was."""
    new = [fit.slot for fit in fits if fit.saved is None]
    said = {
        "begin anew": [x for x in new if x.key.field not in DERIVED],
        "were saved and are not used": unused,
        "were saved in a wider dtype": [fit.slot for fit in fits if fit.is_wider],
        "are converted": [fit.slot for fit in fits if fit.is_converted],
    }
    parts = [f"{_listed(found)} {what}" for what, found in said.items() if found]
    if parts:
        warnings.warn(f"{where}: {'; '.join(parts)}.", UserWarning, stacklevel=4)
