"""Statistics of sweeps: averages, intervals, contenders, importance, luck."""
