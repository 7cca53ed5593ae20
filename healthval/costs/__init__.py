"""What AWS would charge, idle and in use."""
