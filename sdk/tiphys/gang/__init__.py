"""A gang of workers and its environment, as the training operator makes it."""
