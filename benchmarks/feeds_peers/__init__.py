"""Feed readers that `benchmarks.feeds` compares, and the site they read."""
