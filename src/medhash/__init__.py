"""Regenerates, number by number, papers on hashing for medical image retrieval."""
