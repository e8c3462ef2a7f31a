"""Senders that `benchmarks.dispatch` compares, a program each, and where those that are not ours come from."""
