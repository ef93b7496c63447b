"""What a method of each family is to the rest of medhash; a method derives from one of them."""
