"""One page about a run: claims, tables, figures, and where each number comes from."""
