"""How a container's program is started here: as a process, in a sandbox, or by docker."""
