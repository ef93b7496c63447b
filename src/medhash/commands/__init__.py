"""The groups of the command line; each module imports only what its help needs."""
