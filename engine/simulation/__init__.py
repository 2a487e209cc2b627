"""Monte Carlo of what the pipeline and the customers will bring."""
