"""A companion of the flow of trials: what `artifacts.engine.companion` starts for it."""

from __future__ import annotations

import sys

from artifacts.engine.companion import Wire, serve

if __name__ == "__main__":
    wire = Wire(int(sys.argv[1]))
    wire.receive()
    wire.send("ready")
    serve(wire)
