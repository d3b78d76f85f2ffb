"""The statistics of a sweep: intervals, contenders, importances, luck."""
