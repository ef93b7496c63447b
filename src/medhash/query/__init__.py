"""One image against a cell's database."""
