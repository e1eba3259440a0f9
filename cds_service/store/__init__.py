"""What is written down durably, before anything is answered. Read ``store`` first."""
