"""From 2,640 candidates to 250, inside one training fold: prefilter, clusters, four scores, Borda, stability, fill."""
