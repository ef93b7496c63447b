"""Splits: which image is query, database, validation and train."""
