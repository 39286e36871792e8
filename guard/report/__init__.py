"""How a happening is told: a log line, the termination message, a metric."""
