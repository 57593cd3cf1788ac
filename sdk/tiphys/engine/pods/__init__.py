"""One pod on this machine: its space, environment, containers, artifacts and outputs."""
