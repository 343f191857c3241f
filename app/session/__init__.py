"""What one browser session holds, and what this server does for it in the background."""
