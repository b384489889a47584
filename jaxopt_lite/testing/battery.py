"""Takes a transformation through the laws and reports all that it breaks."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from jaxopt_lite.testing.case import Case, example_params
from jaxopt_lite.testing.compare import Problem, Unproven, raised, shortened
from jaxopt_lite.testing.laws import LAWS


class LawViolation(AssertionError):
    """A transformation breaks laws; `problems` lists what is wrong by law.

    Example:
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite.testing import LawViolation, check_transformation
        >>> tx = jl.GradientTransformation(lambda p: 0, lambda g, s, p=None: (g, s + 1))
        >>> try:
        ...     check_transformation(tx, laws=["state_holds_arrays_only"])
        ... except LawViolation as violation:
        ...     print(violation.problems["state_holds_arrays_only"][0])
        the first state: found the int 0; expected a JAX array
    """

    def __init__(self, tx: Any, problems: Mapping[str, list[Problem]], tried: int):
        self.problems = dict(problems)
        lines = [f"{len(problems)} of {tried} laws do not hold for {shortened(tx)}"]
        alike: dict[tuple[Problem, ...], list[str]] = {}
        for law, found in problems.items():
            alike.setdefault(tuple(found), []).append(f"{law}: {_summary(law)}")
        for shared, laws in alike.items():
            lines += [*laws, *(f"  {problem}" for problem in shared)]
        super().__init__("\n".join(lines))


def check_transformation(
    tx: Any,
    *,
    params: Any = None,
    laws: Iterable[str] | None = None,
    exclude: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Proves that a transformation keeps the laws, or says which it breaks.

    Every law of `LAWS` is tried, also after one has failed: what `jit`, `scan` and
    `vmap` do to it, how often it compiles, dtypes, unusual trees, memory, error texts,
    checkpoints, and the transformation as a value. Whether its arithmetic is right is
    another question: compare it to a reference.

    Args:
        tx: anything with `init(params)` and `update(updates, state, params)`.
        params: the parameters to try it on; by default a vector, a matrix and a
            scalar in nested dicts. The unusual trees are made from them.
        laws: the names of the laws to prove; by default all.
        exclude: from the name of a law that cannot apply to the reason why.
        extra: keywords to pass to every `update`, such as `{"value": 1.0}`.

    Returns:
        The names of the laws that were proven. A law whose library is missing (flax,
        orbax) is not among them, and a warning says so.

    Raises:
        LawViolation: if laws fail; the text lists each with what was found, what was
            expected, and at which leaf.
        ValueError: if a name is not that of a law, or an exclusion has no reason.

    Example:
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite.testing import check_transformation
        >>> check_transformation(jl.adam(1e-3), laws=["many_steps_compile_once"])
        ('many_steps_compile_once',)
    """
    chosen = _choose(laws, exclude or {})
    params = example_params() if params is None else params
    case = Case(tx, params, dict(extra or {}))
    proven = []
    problems = {}
    for law in chosen:
        try:
            found = list(LAWS[law](case))
        except Unproven as reason:
            warnings.warn(f"{law} was not proven: {reason}.", stacklevel=2)
            continue
        except Exception as error:
            found = [raised("", error)]
        if found:
            problems[law] = found
        else:
            proven.append(law)
    if problems:
        raise LawViolation(tx, problems, len(proven) + len(problems))
    return tuple(proven)


def _choose(laws: Iterable[str] | None, exclude: Mapping[str, str]) -> list[str]:
    wanted = list(LAWS) if laws is None else list(laws)
    unknown = [law for law in (*wanted, *exclude) if law not in LAWS]
    if unknown:
        raise ValueError(
            f"check_transformation: found {unknown}, which are no laws; expected some "
            f"of {list(LAWS)}."
        )
    unreasoned = [law for law, reason in exclude.items() if not str(reason).strip()]
    if unreasoned:
        raise ValueError(
            f"check_transformation: {unreasoned} are excluded without a reason; "
            f"expected exclude={{'law': 'why it cannot apply'}}."
        )
    return [law for law in wanted if law not in exclude]


def _summary(law: str) -> str:
    """What a law says, in one line."""
    return (LAWS[law].__doc__ or "").splitlines()[0]
