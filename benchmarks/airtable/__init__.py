"""A server on this machine that answers as Airtable's documentation says it does, with its limits and its bad days."""
