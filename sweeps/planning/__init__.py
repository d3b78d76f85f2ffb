"""Plans a sweep: lists the runs left to train, groups them, and checks that they fit."""
