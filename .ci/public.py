"""Reads from the source what the package exports, and how each name is documented.

Nothing is imported, so the answer does not depend on what is installed.
"""

import ast
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUBMODULES = (
    "jaxopt_lite.tree",
    "jaxopt_lite.projections",
    "jaxopt_lite.sweep",
    "jaxopt_lite.sharding",
    "jaxopt_lite.testing",
    "jaxopt_lite.interop",
    "jaxopt_lite.interop.flax",
    "jaxopt_lite.interop.pytorch",
)
WIDTH = 88


@dataclasses.dataclass(frozen=True)
class Entry:
    """A public name, and the statement that defines it."""

    module: str
    group: str
    name: str
    definition: ast.stmt | None
    doc: str

    @property
    def title(self) -> str:
        """The name as it is reached from the package."""
        return f"{self.module}.{self.name}".removeprefix("jaxopt_lite.")

    @property
    def summary(self) -> str:
        """The first sentence of the documentation."""
        return " ".join(self.doc.split("\n\n")[0].split()).removesuffix(".")

    @property
    def needs_example(self) -> bool:
        """Whether it is a function or a class, but not of states."""
        match self.definition:
            case ast.ClassDef(bases=bases):
                return "NamedTuple" not in map(ast.unparse, bases)
            case definition:
                return isinstance(definition, ast.FunctionDef)

    @property
    def signature(self) -> str:
        """How it is called, in the words of its source."""
        match self.definition:
            case ast.FunctionDef(args=args, returns=returns):
                arrow = f" -> {ast.unparse(returns)}" if returns else ""
                return call(self.name, parameters(args), arrow)
            case ast.ClassDef(body=body):
                fields = call(self.name, filter(None, map(field, body)), "")
                return f"class {fields}".removesuffix("()")
            case _:
                return self.name


def call(name: str, arguments: Iterable[str], arrow: str) -> str:
    """A signature on one line, or with a line for each argument."""
    arguments = list(arguments)
    line = f"{name}({', '.join(arguments)}){arrow}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {a}," for a in arguments), f"){arrow}"])


def parameters(args: ast.arguments) -> Iterator[str]:
    """The parameters of a function, each with its type and default."""
    positional = [*args.posonlyargs, *args.args]
    padding = [None] * (len(positional) - len(args.defaults))
    yield from map(declaration, positional, [*padding, *args.defaults])
    if args.vararg:
        yield f"*{ast.unparse(args.vararg)}"
    elif args.kwonlyargs:
        yield "*"
    yield from map(declaration, args.kwonlyargs, args.kw_defaults)
    if args.kwarg:
        yield f"**{ast.unparse(args.kwarg)}"


def field(node: ast.stmt) -> str | None:
    """The field that a statement of a class declares, if it does."""
    match node:
        case ast.AnnAssign(target=target, annotation=annotation, value=value):
            if "ClassVar" not in ast.unparse(annotation):
                return declaration(ast.arg(ast.unparse(target), annotation), value)
    return None


def declaration(arg: ast.arg, default: ast.expr | None) -> str:
    """A name with its type and default."""
    return ast.unparse(arg) + (f" = {ast.unparse(default)}" if default else "")


def entries() -> list[Entry]:
    """Everything public, in order."""
    modules = ["jaxopt_lite", *(name for name in SUBMODULES if source_file(name))]
    return [
        Entry(module, group, name, *define(module, name))
        for module in modules
        for group, name in exports(module)
    ]


def exports(module: str) -> Iterator[tuple[str, str]]:
    """The public names of a module, each with the heading above it.

    They are those imported in the form `name as name`, and those defined at the top
    without a leading underscore. A module that is imported has entries of its own.
    """
    lines = source(module).splitlines()
    for node in statements(module):
        above = [line for line in lines[: node.lineno] if line.startswith("# ")]
        group = above[-1][2:] if above and module == "jaxopt_lite" else module
        match node:
            case ast.ImportFrom(module=str(origin), names=names):
                for alias in names:
                    is_module = source_file(f"{origin}.{alias.name}") is not None
                    if alias.asname == alias.name and not is_module:
                        yield group, alias.name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                if not name.startswith("_"):
                    yield group, name


def statements(module: str) -> Iterator[ast.stmt]:
    """The statements at the top of a module, and those of the classes made there.

    A class that needs another library is made in a function without arguments.
    """
    for node in ast.parse(source(module)).body:
        yield node
        if isinstance(node, ast.FunctionDef) and not ast.unparse(node.args):
            yield from (x for x in node.body if isinstance(x, ast.ClassDef))


def define(module: str, name: str) -> tuple[ast.stmt | None, str]:
    """The statement that defines a name, through all imports, and its docstring.

    The docstring of what is neither function nor class is the string below it.
    """
    for node, below in itertools.pairwise([*statements(module), ast.Pass()]):
        match node:
            case ast.FunctionDef() | ast.ClassDef() if node.name == name:
                return node, ast.get_docstring(node) or ""
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ) if target == name:
                return node, string(below)
            case ast.ImportFrom(module=str(origin), names=names):
                for alias in names:
                    if (alias.asname or alias.name) == name:
                        return define(origin, alias.name)
    return None, ""


def string(node: ast.stmt) -> str:
    """The text of a statement that is a string, or nothing."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""


@functools.cache
def source(module: str) -> str:
    """The text of a module of the package; of another's, nothing."""
    file = source_file(module)
    return file.read_text() if file else ""


def source_file(module: str) -> Path | None:
    """Where a module of the package is written."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.exists()), None)
