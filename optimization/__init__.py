"""Assignment of accounts to reps: the only home of PuLP and HiGHS. Knows no other package of this project."""
