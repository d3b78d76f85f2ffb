"""What a sweep's scores say, and how sure it is."""
