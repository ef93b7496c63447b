"""Where datasets come from; the only code that opens the network."""
