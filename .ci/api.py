"""Writes jaxopt_lite/API.md from the docstrings of the public names.

    python .ci/api.py           writes the page
    python .ci/api.py --check   fails where the page is not what would be written

Its order and headings are those of `jaxopt_lite/__init__.py`, where the comment above a
run of imports is their heading.
"""

import itertools
import re
import sys
import textwrap
from collections.abc import Iterable

from public import ROOT, Entry, entries

PAGE = ROOT / "jaxopt_lite" / "API.md"

INTRODUCTION = """\
# API

Every public name, with its signature and its documentation. `python .ci/api.py` writes
this page from the docstrings.
"""


def page() -> str:
    """The whole page."""
    groups = [
        (group, list(members))
        for group, members in itertools.groupby(entries(), lambda entry: entry.group)
    ]
    contents = "\n".join(f"- {group}: {links(members)}" for group, members in groups)
    sections = ["\n".join([f"## {group}\n", *map(section, m)]) for group, m in groups]
    return "\n".join([INTRODUCTION, contents, "", *sections])


def links(members: Iterable[Entry]) -> str:
    """One line that leads to each entry."""
    return ", ".join(f"[`{m.name}`](#{anchor(m.title)})" for m in members)


def anchor(title: str) -> str:
    """The fragment by which GitHub addresses a heading."""
    return re.sub(r"[^\w-]", "", title.lower())


def section(entry: Entry) -> str:
    """One public name."""
    code = f"```python\n{entry.signature}\n```\n"
    return f"### `{entry.title}`\n\n{code}\n{markdown(entry.doc)}"


def markdown(doc: str) -> str:
    """A Google-style docstring as Markdown; formulas are indented and stay so."""
    heading = r"^([A-Z][\w ]*):\n( {4}.*\n(?: {4}.*\n|\n(?= {4}))*)"
    text = re.sub(heading, as_section, doc.strip() + "\n", flags=re.MULTILINE)
    return text.rstrip() + "\n"


def as_section(match: re.Match[str]) -> str:
    """A section: an example as code, arguments and errors as a list."""
    title, body = match[1], textwrap.dedent(match[2]).strip()
    if title.startswith("Example"):
        return f"{title}:\n\n```python\n{body}\n```\n"
    if title == "Returns":
        return f"{title}: {body}\n"
    items = re.sub(r"^([\w*`., ]+): ", r"- `\1`: ", body, flags=re.MULTILINE)
    items = re.sub(r"^ {4,}", "  ", items, flags=re.MULTILINE)
    return f"{title}:\n\n{items}\n"


def main(arguments: list[str]) -> None:
    if "--check" not in arguments:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        sys.exit(f"{PAGE.name} is not what the docstrings say: run `python .ci/api.py`")


if __name__ == "__main__":
    main(sys.argv[1:])
