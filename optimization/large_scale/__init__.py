"""Banded assignment at any size: bound by prices, plan by chains and integer programs, audit from raw arrays."""
