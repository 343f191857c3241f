"""The commands of `munkey` that are large enough for a file of their own."""
