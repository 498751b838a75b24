"""What a running gateway says of itself: logs, traces, readiness."""
