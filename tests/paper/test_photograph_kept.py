"""The changes and the path that come with the course: small, in the box, and those of the report."""
