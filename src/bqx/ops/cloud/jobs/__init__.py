"""Jobs in the cloud: processing, training of all pairs, tuning; requests, retries, quorum."""
