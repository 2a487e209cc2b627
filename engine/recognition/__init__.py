"""Looks at an export that nobody has described yet and proposes the config that reads it."""
