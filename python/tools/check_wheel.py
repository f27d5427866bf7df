"""Checks the wheel that `./dev wheel` has made: its size, and what its module links to.

    python check_wheel.py WHEEL
"""

import io
import pathlib
import sys
import zipfile

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

LARGEST = 6_000_000  # bytes
# What is on every machine, by the policies of manylinux.
SYSTEM = ("libc.so", "libm.so", "libstdc++.so", "libgcc_s.so", "libpthread.so", "ld-linux")


def module_of(wheel: zipfile.ZipFile) -> tuple[str, bytes]:
    names = [n for n in wheel.namelist() if n.startswith("lockstep/_core.") and n.endswith(".so")]
    if len(names) != 1:
        sys.exit(f"expected one module, found {names}; are some left in python/lockstep?")
    return names[0], wheel.read(names[0])


def needed_by(elf: ELFFile) -> list[str]:
    return [
        tag.needed
        for section in elf.iter_sections()
        if isinstance(section, DynamicSection)
        for tag in section.iter_tags("DT_NEEDED")
    ]


def exported_by(elf: ELFFile) -> list[str]:
    symbols = elf.get_section_by_name(".dynsym").iter_symbols()
    return [
        s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF" and s["st_info"]["bind"] != "STB_LOCAL"
    ]


def complaints(path: pathlib.Path) -> list[str]:
    found = []
    size = path.stat().st_size
    if size > LARGEST:
        found.append(f"it has {size} bytes, more than {LARGEST}")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        name, data = module_of(wheel)
        for part in ("lockstep/_core.pyi", "lockstep/py.typed"):
            if part not in names:
                found.append(f"it lacks {part}")
        libraries = [n for n in names if ".so" in pathlib.PurePath(n).name and n != name]
        # zlib comes along under a name of its own.
        if any("libz" not in n for n in libraries):
            found.append(f"it brings libraries: {', '.join(libraries)}")
        if any(n.startswith(("tests/", "lockstep/tests/")) for n in names):
            found.append("it brings tests")
    elf = ELFFile(io.BytesIO(data))
    needed = needed_by(elf)
    others = [n for n in needed if not n.startswith((*SYSTEM, "libz"))]
    if others:
        found.append(f"{name} needs {', '.join(others)}")
    if elf.get_section_by_name(".symtab") is not None:
        found.append(f"{name} is not stripped")
    exported = set(exported_by(elf)) - {"PyInit__core", "lockstep_python_module"}
    if exported:
        found.append(f"{name} exports {', '.join(sorted(exported)[:5])}")
    print(f"{path.name}: {size / 1e6:.2f} MB; {name} needs {', '.join(needed)}")
    return found


def main() -> int:
    path = pathlib.Path(sys.argv[1])
    found = complaints(path)
    for complaint in found:
        print(f"{path.name}: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
