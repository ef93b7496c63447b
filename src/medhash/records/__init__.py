"""A cell's numbers: written and read here, by one model."""
