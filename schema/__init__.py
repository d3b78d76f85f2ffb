"""The keys of a config, their validation, and reading and writing of YAML."""
