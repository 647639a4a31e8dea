"""edgevoice: a private, offline voice engine for small Linux boards.

Importing this package loads no engine and no native library; those are imported by the engine that needs them.
"""

__version__ = "0.1.0"
