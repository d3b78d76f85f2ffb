"""Trains populations as elements of Slurm's job arrays.

`driver` submits arrays and follows their elements, `node` trains an element's population with the local
sweep backend, `array` is the folder through which the two talk, `queue` calls Slurm's commands, and
`options` are what the user passes on to them.
"""
