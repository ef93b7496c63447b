"""What to run: settings, grids, paths. Imports no torch, so that Snakemake can read it quickly."""
