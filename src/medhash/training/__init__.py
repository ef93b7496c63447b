"""The one training loop; the only package that knows devices."""
