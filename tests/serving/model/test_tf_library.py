import subprocess
import sys

import pytest

from tiphys.serving.model.tf_library import available

# TensorFlow's library has functions of BoringSSL, by the names that Python's own modules ask OpenSSL for.
_AFTER = """
from tiphys.serving.model import tf_library
tf_library._load()
import hashlib, ssl
ssl.create_default_context()
print(hashlib.new("sha1", b"x").hexdigest())
"""


@pytest.mark.skipif(not available(), reason="TensorFlow is not installed")
def test_the_library_keeps_its_names_to_itself() -> None:
    done = subprocess.run([sys.executable, "-c", _AFTER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "11f6ad8ec52a2984abaafd7c3b516503785c2072\n"), done.stderr
