"""The proto of the training service, and what is generated from it."""
