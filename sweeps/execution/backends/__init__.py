"""Where the populations of a sweep are trained."""
