"""EnvPool: many environments that one call steps."""
