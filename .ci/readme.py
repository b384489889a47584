"""Writes the tables of names in README.md from the docstrings of the public names.

    python .ci/readme.py           writes them
    python .ci/readme.py --check   fails where they are not what would be written

They stand between two comments, a table for each heading of `jaxopt_lite/__init__.py`.
"""

import itertools
import sys
from collections.abc import Iterable

from public import ROOT, Entry, entries

PAGE = ROOT / "README.md"
BEGIN = "<!-- The tables are written by `python .ci/readme.py`. -->\n"
END = "<!-- End of the tables. -->\n"


def tables() -> str:
    """One table for each heading; names without a text of their own share a row."""
    public = (entry for entry in entries() if entry.module == "jaxopt_lite")
    groups = itertools.groupby(public, lambda entry: entry.group)
    return "\n".join(table(group, list(members)) for group, members in groups)


def table(group: str, members: list[Entry]) -> str:
    """The names under one heading."""
    if group == "States":
        return f"| {group} |\n|---|\n| {names(members)} |\n"
    by_text = {
        m.summary: [n for n in members if n.summary == m.summary] for m in members
    }
    rows = [f"| {names(alike)} | {text} |" for text, alike in by_text.items()]
    return "\n".join([f"| {group} | |", "|---|---|", *rows, ""])


def names(members: Iterable[Entry]) -> str:
    return ", ".join(f"`{m.name}`" for m in members)


def page() -> str:
    """The whole README, its tables written anew."""
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main(arguments: list[str]) -> None:
    if "--check" not in arguments:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit(f"the tables of {PAGE.name} are old: run `python .ci/readme.py`")


if __name__ == "__main__":
    main(sys.argv[1:])
