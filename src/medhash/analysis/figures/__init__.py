"""Figures, one file a kind: a class ``Spec`` with its keys, cells and files, and how it is drawn.

To add a kind, add a file here. Nothing has to be registered.
"""

SHARED_MODULES = frozenset({"contact_sheet", "curves", "drawing", "explained", "make"})
