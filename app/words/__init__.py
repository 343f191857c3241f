"""What only speaks: terms, readings of charts, figures, phrases, and the colours with a meaning."""
