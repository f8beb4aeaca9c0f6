"""What a deployment is made of, one file a kind."""
