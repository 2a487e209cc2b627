"""The numbers of the trade: every row with numerator, denominator, interval and the name of its formula.

The rule this room keeps: a number is either computed from the tables a company gave, or it is left out and the list of
what is missing says which table would bring it (``test_what_needs_a_table_is_left_out_and_named``).
"""
