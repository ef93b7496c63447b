"""Following a printed number back to its archive: every link checked, none believed."""
