"""The same cores on Kafka: brokers, topics, and what commands do with them."""
