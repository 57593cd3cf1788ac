"""Why an attempt ended as it did, and what follows."""
