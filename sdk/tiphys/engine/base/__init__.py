"""What all parts of the engine share: the loop, the options, what is told to observers."""
