"""Trains populations on a Ray cluster.

`driver` hands populations to nodes, `node` trains one after another there with the local sweep backend,
`files` are what a node sends back where the folder isn't shared, and `cluster` connects to Ray.
"""
