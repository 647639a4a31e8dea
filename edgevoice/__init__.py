"""edgevoice: a private, offline voice engine for small Linux boards.

Importing this package loads no engine and no native library; those are imported by the engine that needs them.
"""

import os

__version__ = "0.1.0"

# From 1.29 on, ONNX Runtime on Linux reports this machine, a lasting identifier of it and the models it loads to its
# publisher unless this is set before it is imported; switched off later, the identifier is on the disk already. It is
# set here, because some engines import ONNX Runtime by themselves. Who wants the reports sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# OpenBLAS, under numpy, wakes a thread for every processor for one product of matrices, and they wait at full speed for
# the next one: nearly half of the processor time of a command. This is read when numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
