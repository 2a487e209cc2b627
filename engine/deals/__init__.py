"""Single deals: what drives their chance, and how they moved the number since the run before."""
