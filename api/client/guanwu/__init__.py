"""Guanwu's client, wire models and command line."""
