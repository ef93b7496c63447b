"""What a paper says, as data: its grid, its printed numbers, its claims."""
