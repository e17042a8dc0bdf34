"""What every path shares: problems, bodies, cursors, ETags and the OpenAPI description."""
