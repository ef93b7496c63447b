"""Where a number comes from: hashes, code fingerprints, environment, records."""
