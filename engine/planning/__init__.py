"""From simulated revenue to quotas and to the assignment problem."""
