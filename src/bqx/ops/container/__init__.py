"""What runs in containers, and what they are built from: docs/containers.md."""
