"""What programs read and write under /v1, one file a resource."""
