"""What people and programs send to Keelwatch, see of it and decide: REST under /v1, and pages."""
