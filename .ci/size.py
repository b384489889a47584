"""Counts the lines of code of each rule, of the package, and of Optax beside it.

    python .ci/size.py

Lines of code are those that hold more than a comment or a docstring. Of Optax, tests,
losses, and what else is no gradient transformation do not count.
"""

import ast
import importlib.util
import io
import tokenize
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from public import ROOT

PACKAGE = ROOT / "jaxopt_lite"
NO_TRANSFORMATIONS = {"assignment", "experimental", "losses", "microbatching"} | {
    "perturbations",
    "second_order",
}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return lines


def rules() -> Iterable[tuple[str, int]]:
    """Each rule's name and its lines of code."""
    for file in sorted((PACKAGE / "rules").glob("*.py")):
        text = file.read_text()
        lines = code_lines(text)
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(base).endswith("Rule") for base in node.bases
            ):
                span = range(node.lineno, (node.end_lineno or 0) + 1)
                yield node.name, len(lines.intersection(span))


def total(files: Iterable[Path]) -> tuple[int, int]:
    """Lines of code and lines in all."""
    texts = [file.read_text() for file in files]
    return sum(len(code_lines(t)) for t in texts), sum(t.count("\n") for t in texts)


def optax_files() -> list[Path]:
    """The files of the installed Optax that make gradient transformations."""
    spec = importlib.util.find_spec("optax")
    if spec is None or spec.origin is None:
        return []
    root = Path(spec.origin).parent
    return [
        file
        for file in root.rglob("*.py")
        if not file.name.endswith("_test.py")
        and not NO_TRANSFORMATIONS & set(file.relative_to(root).parts)
    ]


def main() -> None:
    sizes = dict(rules())
    for name, lines in sizes.items():
        print(f"{lines:5} {name}")
    print(f"{median(sizes.values()):5} in the median of {len(sizes)} rules")
    for name, files in {
        "jaxopt_lite": PACKAGE.rglob("*.py"),
        "optax": optax_files(),
    }.items():
        code, lines = total(files)
        print(f"{name}: {code} lines of code, {lines} lines in all")


if __name__ == "__main__":
    main()
