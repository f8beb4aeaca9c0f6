"""Files in object storage, over the S3 API."""
