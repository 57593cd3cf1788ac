"""Which earlier result may be taken, and why."""
