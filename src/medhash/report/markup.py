"""Markdown of medhash's own files as HTML."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markupsafe import Markup

_HEADING = re.compile(r"<(/?)h([1-6])>")
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
# The tags that medhash's own Markdown contains; any other stays text.
_KNOWN_TAGS = re.compile(r"&lt;(br|/?ins)&gt;")
_LINK = re.compile(r'<a href="(?!https?:)[^"]*">(.*?)</a>', re.DOTALL)
_DEEPEST = 6


def html(markdown: str, *, below: int = 0) -> Markup:
    """A page of Markdown; raw HTML in it stays text, wide tables scroll in a box of their own.

    Args:
        markdown: with tables as GitHub writes them.
        below: by how many levels headings are lowered.
    """
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    text = _KNOWN_TAGS.sub(r"<\1>", text)
    # Other pages of the documentation do not lie beside the report.
    text = _LINK.sub(r"\1", text)
    text = _HEADING.sub(lambda m: f"<{m[1]}h{min(int(m[2]) + below, _DEEPEST)}>", text)
    return Markup(_TABLE.sub(_boxed, text))  # noqa: S704 - MarkdownIt escapes what is not markup


def _boxed(table: re.Match[str]) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table[0]}</div>'
