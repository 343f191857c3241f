"""MUNKEY Studio's library: a transformer whose memory of each training image can be deleted.

"METHOD.md" in a docstring is the project's tutorials/METHOD.md.
"""

__version__ = "0.1.0"
