"""Bayesian sub-models of bookings: the only home of PyMC. Knows no other package of this project."""
