"""Families beside the catalogue: auxiliary, never counted, off unless a project names them in `bqx.toml`."""
