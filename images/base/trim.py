"""Cut from shared libraries what only linkers and debuggers read: symbol tables and section headers.

What a process needs is in the segments that the program headers list; everything behind the last of them may go. It
is a quarter of TensorFlow. (`strip` does the same; it would have to be installed into the image first.)
"""

import os
import struct
import sys
from pathlib import Path

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
SEGMENT = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr


def trim(path: Path) -> int:
    """Bytes saved; a file that is no 64-bit little-endian ELF is left alone."""
    with path.open("r+b") as file:
        start = file.read(HEADER.size)
        if start[:6] != b"\x7fELF\x02\x01":
            return 0
        header = list(HEADER.unpack(start))
        segments, size, count = header[5], header[9], header[10]
        end = segments + size * count
        for index in range(count):
            file.seek(segments + size * index)
            _, _, offset, _, _, length, _, _ = SEGMENT.unpack(file.read(SEGMENT.size))
            end = max(end, offset + length)
        before = file.seek(0, os.SEEK_END)
        header[6] = header[12] = header[13] = 0  # no section headers, and no table of their names
        file.seek(0)
        file.write(HEADER.pack(*header))
        file.truncate(end)
    return before - end


if __name__ == "__main__":
    found = [path for path in sorted(Path(sys.argv[1]).rglob("*.so*")) if not path.is_symlink()]
    sys.stdout.write(f"{sum(map(trim, found))} bytes saved\n")
