"""A paper's claims against a run, and a paper's numbers against each other."""
