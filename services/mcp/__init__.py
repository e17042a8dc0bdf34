"""For agents on call: an MCP server over the API."""
