"""Which series tell something of which others' future, with the price of asking 756 times.

Two methods, Granger (linear) and transfer entropy (any form), on series whose steps do not overlap; false discovery
rates over the whole family of questions; confirmation on data that came later. A link is never a proof of causality.
"""
