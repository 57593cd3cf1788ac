"""The bodies of templates at work: what is called, what it consists of, and when it has ended."""
