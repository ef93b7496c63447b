"""Tables, one file a kind: a class ``Spec`` with its keys, cells and files, and how it is made.

To add a kind, add a file here. Nothing has to be registered.
"""

SHARED_MODULES = frozenset({"grid", "make", "rendering"})
