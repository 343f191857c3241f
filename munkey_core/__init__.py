"""MUNKEY Studio's library: a transformer whose memory of each training image can be deleted."""

__version__ = "0.1.0"
