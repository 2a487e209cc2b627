"""The story of a run: data, models, simulation, assignment, folder, record."""
