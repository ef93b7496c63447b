"""A trained cell: load it, encode with it, look where it looks, time it."""
