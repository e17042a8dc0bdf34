"""Records of Keelwatch as pydantic models, and the topics they travel on."""
