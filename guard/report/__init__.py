"""How an event is reported: a log line, the termination message, a metric."""
