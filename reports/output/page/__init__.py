"""The page of a sweep: one offline HTML file."""
