"""Trains populations on a Ray cluster.

`driver` hands populations to nodes, `node` trains one after another there with the local sweep backend,
`messages` and `files` are what a node sends back, and `cluster` connects to Ray.
"""
