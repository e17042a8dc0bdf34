"""The suites that come with Keelwatch, a folder each: suite.yaml and items.jsonl."""
