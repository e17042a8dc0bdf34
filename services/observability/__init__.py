"""What operators see of a process: health probes, metrics, the progress watchdog and logs."""
