"""Networks that turn images into codes."""
