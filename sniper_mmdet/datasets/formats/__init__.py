"""Annotations and proposals in the formats of others, a file a format."""
