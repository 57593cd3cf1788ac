"""Who may start now: locks, and slots of a machine."""
