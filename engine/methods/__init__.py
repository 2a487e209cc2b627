"""Ways to forecast, one file a method: a panel as of a date in, simulated revenue out."""
