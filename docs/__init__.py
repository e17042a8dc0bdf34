"""The documentation: pages in Markdown, and what is made from the code when they are built."""
