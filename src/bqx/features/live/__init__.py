"""Features bar by bar, to the bit what batch gives.

A family's formulas are written once. Live executes the same source file again (`copies`) with every kernel that looks
back replaced by a *stepper* (`tape`, `steppers/`): the kernel's own step function, with the rows and sums it needs
kept between calls. What arrives is a *block* of consecutive minutes (`block`), one in operation, thousands when
history is caught up with: how the minutes are cut into blocks moves no bit. A dataset with a kernel that has no
stepper, and every dataset of a user, is recomputed over its look-back (`dataset.Recompute`): the same bits by promise
P2, slower. `session.Session` is all datasets together, `check.check_live` the proof.

No files and no processes here: `bqx.serve.live` has the feeds, the saved state and the clock.
"""
