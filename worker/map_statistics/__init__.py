"""Explanation QA: the maps of a whole job looked at together."""
