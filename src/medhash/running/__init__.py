"""Runs outstanding cells in the time that there is, and says how far a run has got."""
