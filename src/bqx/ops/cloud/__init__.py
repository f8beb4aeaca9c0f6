"""A deployment in AWS: described in `cloud.toml`, planned, applied, verified, used and taken down over its API."""
