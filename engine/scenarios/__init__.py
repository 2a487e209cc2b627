"""What-if: changes of a finished run's company, answered on the random numbers of its forecast."""
