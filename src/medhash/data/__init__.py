"""Datasets: download, read, phantoms, splits, leakage."""
