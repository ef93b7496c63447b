"""Binary codes, Hamming distances and retrieval metrics; imports no torch."""
