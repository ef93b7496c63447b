"""Statistics, tables and figures made from records; imports no torch."""
