"""Hyperparameters, masks and labels that depend on a parameter's path."""

import difflib
import fnmatch
import functools
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat, is_end, is_masked
from jaxopt_lite.core.types import PyTree
from jaxopt_lite.core.value import Value, short_repr


class ByPath(Value):
    """An ordered list of path patterns and what each stands for; see `by_path`."""

    patterns: tuple[str, ...]
    values: tuple[Any, ...]
    strict: bool = False
    name: str = ""

    def __repr__(self) -> str:
        if self.name:
            return self.name
        rules = ", ".join(
            f"{pattern!r}: {short_repr(value)}"
            for pattern, value in zip(self.patterns, self.values, strict=True)
        )
        return f"by_path({{{rules}}}{', strict=True' if self.strict else ''})"

    def __call__(self, tree: PyTree) -> PyTree:
        """The tree with each parameter replaced by the value of its path.

        Raises:
            TypeError: if called with a number, as a schedule would be.
        """
        if isinstance(tree, int | float) or getattr(tree, "shape", None) == ():
            raise TypeError(
                "by_path was called with a number, as a schedule is; expected a tree: "
                "its values depend on the path of a parameter, not on the step."
            )
        flat = Flat(tree)
        return flat.rebuild_bare(
            leaf if is_end(leaf) else value
            for leaf, value in zip(
                flat.leaves, self.resolve("by_path", flat), strict=True
            )
        )

    def choose(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[int]:
        """Which pattern is the first to match each leaf, -1 if none does.

        Raises:
            ValueError: if none matches a leaf that is seen; all such paths are named.
        """
        chosen = [_first_match(self.patterns, path) for path in flat.paths]
        uncovered = [
            (path, "matches no pattern")
            for path, i, is_seen in zip(flat.paths, chosen, seen, strict=True)
            if i < 0 and is_seen
        ]
        if uncovered:
            checks.fail(
                f"{where}: by_path does not cover "
                f"{len(uncovered)} of {len(flat.leaves)} parameters.",
                uncovered,
                f"Expected one of {', '.join(map(repr, self.patterns))} to match: add "
                f"a pattern, or '*' as the last one.",
                ValueError,
            )
        return chosen

    def resolve(self, where: str, flat: Flat) -> list[Any]:
        """The value of every leaf, None where no parameter stands."""
        seen = [not is_end(leaf) for leaf in flat.leaves]
        return [
            self.values[i] if is_seen else None
            for i, is_seen in zip(self.choose(where, flat, seen), seen, strict=True)
        ]

    def judge(self, where: str, flat: Flat) -> None:
        """Warns of patterns that are never in force; with `strict`, refuses them.

        Those match nothing, or stand behind one that matches everything. Silent where
        the tree is empty or holds masked positions, since then only part of the
        parameters is in sight, and in ready masks, which have a name.
        """
        if self.name or not flat.leaves or any(map(is_masked, flat.leaves)):
            return
        matchers = list(map(_matcher, self.patterns))
        used = [any(map(matches, flat.paths)) for matches in matchers]
        idle = [
            p for p, is_used in zip(self.patterns, used, strict=True) if not is_used
        ]
        if idle:
            self._complain(
                f"{where}: by_path has patterns that match no parameter.",
                [f"{pattern!r}{_nearest(pattern, flat.paths)}" for pattern in idle],
                "Expected each to match a path: correct it or take it out.",
            )
        whole = [all(map(matches, flat.paths)) for matches in matchers]
        first = whole.index(True) if any(whole) else len(whole)
        behind = range(first + 1, len(whole))
        hidden = [self.patterns[i] for i in behind if used[i] and not whole[i]]
        if hidden:
            self._complain(
                f"{where}: by_path has patterns behind {self.patterns[first]!r}, which "
                f"matches every parameter before them.",
                [f"{pattern!r} is never in force" for pattern in hidden],
                f"Expected it after them, as the first match wins: put "
                f"{self.patterns[first]!r} last.",
            )

    def _complain(self, told: str, patterns: Sequence[str], cure: str) -> None:
        text = "\n".join([told, *(f"  {pattern}" for pattern in patterns), cure])
        if self.strict:
            raise ValueError(text)
        warnings.warn(text, UserWarning, stacklevel=3)


def by_path(rules: Mapping[str, Any], *, strict: bool = False) -> ByPath:
    r"""A hyperparameter, mask or label that depends on a parameter's path.

    Paths are the same in every framework: `encoder/layers/0/attn/kernel`. The first
    pattern that matches wins:

    - a pattern with `*`, `?`, `[` or `/` is a glob over the whole path, in which `*`
      crosses `/`; case does not matter;
    - a pattern without any of them matches one whole component: `bias` matches
      `dense/bias`, not `dense/bias_scale`;
    - `re:` and a regular expression matches where `re.search` finds it.

    Args:
        rules: from pattern to number, array, schedule (as a hyperparameter), bool (as
            a mask), or label (in `partition`), in order.
        strict: whether a pattern that matches no parameter, or stands behind one that
            matches them all, is an error, not a warning.

    Returns:
        A value to give wherever a leaf rule takes a number, as a `mask`, or as the
        labels of `partition`. It is also a function of a tree; Optax's own `mask`
        arguments take that function, `by_path(…).__call__`.

    Raises:
        ValueError: if `rules` is empty or a regular expression does not compile; where
            it is used, if a parameter is covered by no pattern.
        TypeError: if `rules` is no mapping, or a whole-tree number is given `by_path`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> rates = jl.by_path({"head/*": 1e-3, "bias": 0.0, "*": 1e-4})
        >>> rates({"head": {"kernel": jnp.ones(2)}, "body": {"bias": jnp.ones(2)}})
        {'body': {'bias': 0.0}, 'head': {'kernel': 0.001}}
        >>> tx = jl.adamw(rates, weight_decay=jl.by_path({"bias": 0.0, "*": 0.01}))
    """
    if not isinstance(rules, Mapping):
        raise TypeError(
            f"by_path: found {checks.article(type(rules).__name__)}; expected a dict "
            f"from pattern to value, such as {{'*bias': 0.0, '*': 0.01}}."
        )
    if not rules:
        raise ValueError(
            "by_path: found no pattern; expected at least one, such as '*'."
        )
    for pattern in rules:
        if not isinstance(pattern, str):
            raise TypeError(
                f"by_path: found the pattern {checks.describe(pattern)}; expected a "
                f"string, such as '*bias'."
            )
        _matcher(pattern)
    return ByPath(tuple(rules), tuple(rules.values()), strict)


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern of `by_path` matches a path."""
    return bool(_matcher(pattern)(path))


@functools.lru_cache(maxsize=1 << 16)
def _first_match(patterns: tuple[str, ...], path: str) -> int:
    for i, pattern in enumerate(patterns):
        if _matcher(pattern)(path):
            return i
    return -1


@functools.lru_cache(maxsize=1 << 12)
def _matcher(pattern: str) -> Any:
    if pattern.startswith("re:"):
        return _regular_expression(pattern).search
    if not any(c in pattern for c in "*?[/"):
        pattern = f"(?:.*/)?{re.escape(pattern)}(?:/.*)?"
    else:
        pattern = fnmatch.translate(pattern)
    return re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch


def _regular_expression(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern.removeprefix("re:"))
    except re.error as error:
        raise ValueError(
            f"by_path: the pattern {pattern!r} is no regular expression: {error}."
        ) from error


def _nearest(pattern: str, paths: Sequence[str]) -> str:
    close = difflib.get_close_matches(pattern.removeprefix("re:"), paths, 1, 0.0)
    return f"; the nearest path is {close[0]!r}" if close else ""


weights_only = ByPath(
    (
        r"re:(?i)(^|/)(b|bias|biases|offset|beta|scale|gamma)$",
        r"re:(?i)(^|/)[^/]*norm(?!al(_|/|izing|$))[^/]*(/|$)",
        r"re:(?i)(^|/)(ln|bn|gn)([_\d][^/]*)?(/|$)",
        "*",
    ),
    (False, False, False, True),
    name="weights_only",
)
"""The usual mask of weight decay: all parameters but biases and norm scales.

By path, so it holds whatever the rank: leaves named `b`, `bias`, `offset`, `scale`…,
and everything in modules named `*norm*` (but not `normal`, `normalizing`), `ln`, `ln1`,
`ln_f`, and likewise `bn` and `gn`.
"""
