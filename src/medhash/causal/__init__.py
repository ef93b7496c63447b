"""Anti-confounding modules that know no method (ACH, Section IV)."""
