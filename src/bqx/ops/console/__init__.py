"""The read-only web console of a project: pages rendered here, served on this machine only."""
