"""The author's file, read: what a step takes along of it, and what its code depends on."""
