"""Generate the Python of the training service's proto, beside it: ``python scripts/training_proto.py``.

The generated code checks that the protobuf that runs it is not older, and at most one major version newer. So it is
made with the oldest that we allow: ``pip install grpcio-tools==1.74.*`` (protobuf 6.31).
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tiphys/training/proto"


def main() -> int:
    from grpc_tools import protoc

    sdk = ROOT / "sdk"
    words = [f"-I{sdk}", f"--python_out={sdk}", f"--pyi_out={sdk}", f"--grpc_python_out={sdk}"]
    return int(protoc.main(["protoc", *words, str(sdk / PACKAGE / "training_service.proto")]))


if __name__ == "__main__":
    sys.exit(main())
