"""One run on this machine: how it starts, goes on, is stored and ends."""
