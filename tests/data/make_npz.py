"""Writes the .npz files that data_file_test.cc reads, beside this script. Needs NumPy.

The files are the same bytes on every run. Each name says what the file shows.
"""

import gzip
import io
import pathlib
import zipfile

import numpy as np

FOLDER = pathlib.Path(__file__).parent

# X[n][t][d] = 100 n + 10 t + d: every element names its own place.
N, T, D = 4, 3, 2
X = np.add.outer(np.add.outer(100 * np.arange(N), 10 * np.arange(T)), np.arange(D))


def npy(array, version):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def header_only(shape):
    """A .npy file without data, whatever its header claims."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(name, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(FOLDER / name, "w", compression) as file:
        for entry, content in entries.items():
            file.writestr(zipfile.ZipInfo(entry), content, compression)


def patched(name, at, content):
    """An archive with one field changed in its list of entries."""
    data = bytearray((FOLDER / "bad_truncated.npz").read_bytes())
    begin = data.index(b"PK\x01\x02") + at
    data[begin : begin + len(content)] = content
    (FOLDER / name).write_bytes(data)


def write_good():
    np.savez(FOLDER / "float32_integers.npz", X=X.astype("<f4"), y=np.array([7, 10, 7, -2]))
    np.savez_compressed(
        FOLDER / "float64_fortran_deflated.npz",
        X=np.asfortranarray(X.astype("<f8")),
        y=np.array([1.0, 0.0, 2.5, 1.0]),
    )
    np.savez(FOLDER / "two_dimensions_text.npz", X=X[:, :, 0].astype("<f4"),
             y=np.array(["b", "aé", "b", "日本"]))
    padded = X.astype("<f4")
    padded[0, 2:] = np.nan
    padded[3, 1:] = np.inf
    np.savez(FOLDER / "lengths_bytes.npz", X=padded, y=np.array([b"on", b"off", b"on", b"on"]),
             lengths=np.array([2, 3, 3, 1], dtype="<i4"))
    np.savez(FOLDER / "unlabelled.npz", X=X.astype("<f4"))
    numbers = np.arange(N * 2).reshape(N, 2) / 4
    numbers[2, 1] = np.nan
    np.savez(FOLDER / "two_numbers_fortran.npz", X=X.astype("<f4"), y=np.asfortranarray(numbers))
    np.savez(FOLDER / "one_number_column.npz", X=X.astype("<f4"), y=numbers[:, :1].astype("<f4"))
    steps = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]])
    np.savez(FOLDER / "step_labels.npz", X=X.astype("<f4"), y=steps, lengths=np.array([3, 2, 3, 1]))
    np.savez(FOLDER / "step_numbers_fortran.npz", X=X.astype("<f4"),
             y=np.asfortranarray(np.arange(N * 3 * 2).reshape(N, 3, 2).astype("<f8")))
    y = np.array([0, 255, 0, 1], dtype=np.uint8)
    archive("versions_2_and_3.npz", {"X.npy": npy(X.astype("<f4"), (2, 0)), "y.npy": npy(y, (3, 0))})
    np.savez(FOLDER / "weights.npz", X=X.astype("<f4"), y=np.arange(N),
             sample_weight=np.array([0.5, 2, 0, 1]))
    y = np.array([0, 1, 0, 1])
    x4 = X.astype("<f4")
    np.savez(FOLDER / "integer_x.npz", X=X, y=y)
    np.savez(FOLDER / "half_x.npz", X=X.astype("<f2"), y=y)
    np.savez(FOLDER / "column_y.npz", X=x4, y=y[:, None])
    np.savez(FOLDER / "bool_y.npz", X=x4, y=y == 1)
    np.savez(FOLDER / "labels.npz", X=x4, labels=y)
    np.savez(FOLDER / "one_hot_y.npz", X=x4, y=np.eye(2, dtype="<f4")[y])
    ends = x4.copy()
    ends[2, 1:] = np.nan
    np.savez(FOLDER / "padded.npz", X=ends, y=y)
    large = np.full(N, 2**63, dtype="<u8")
    np.savez(FOLDER / "large_integers.npz", X=large[:, None], y=large)
    text = b"sample,step,x,label\n0,0,1,a\n1,0,2,b\n"
    (FOLDER / "two_rows.csv.gz").write_bytes(gzip.compress(text, mtime=0))
    # As if every array were beyond 2 GiB: sizes and offsets are in the records of ZIP64.
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0
    np.savez(FOLDER / "zip64.npz", X=X.astype("<f4"), y=np.arange(N))
    np.savez_compressed(FOLDER / "zip64_deflated.npz", X=X.astype("<f4"), y=np.arange(N))
    zipfile.ZIP64_LIMIT = limit


def write_refused():
    y = npy(np.arange(N), (1, 0))
    x = npy(X.astype("<f4"), (1, 0))
    np.savez(FOLDER / "bad_big_endian.npz", X=X.astype(">f4"), y=np.arange(N))
    np.savez(FOLDER / "bad_text_y.npz", X=X.astype("<f4"), y=np.array([b"\xfc", b"a", b"b", b"a"]))
    np.savez(FOLDER / "bad_surrogate_y.npz", X=X.astype("<f4"),
             y=np.array([0xD800, 97, 98, 97], dtype="<u4").view("<U1"))
    np.savez(FOLDER / "bad_text_x.npz", X=X.astype("<f4").astype("<U1"), y=np.arange(N))
    x4 = X.astype("<f4")
    np.savez(FOLDER / "bad_two_x.npz", x_test=x4, x_train=x4, y_test=np.arange(N),
             y_train=np.arange(N))
    np.savez(FOLDER / "bad_object_y.npz", X=X.astype("<f4"), y=np.array([None] * N, dtype=object))
    np.savez(FOLDER / "bad_y_shape.npz", X=X.astype("<f4"), y=np.arange(N + 1))
    np.savez(FOLDER / "bad_length.npz", X=X.astype("<f4"), lengths=np.array([1, 2, 3, T + 1]))
    np.savez(FOLDER / "bad_one_dimension.npz", X=np.zeros(4, "<f4"))
    np.savez(FOLDER / "bad_no_x.npz", a=X.astype("<f4"), y=np.arange(N))
    nan = X.astype("<f4")
    nan[2, 1, 0] = np.nan
    np.savez(FOLDER / "bad_nan.npz", X=nan)
    np.savez(FOLDER / "bad_weight.npz", X=X.astype("<f4"), sample_weight=np.array([1, -2, 0, 1]))
    np.savez(FOLDER / "bad_weights.npz", X=X.astype("<f4"), sample_weight=np.ones(N + 1))
    archive("bad_huge_shape.npz", {"X.npy": header_only("(1000000000, 1000000)")})
    archive("bad_overflow.npz", {"X.npy": header_only("(4294967296, 4294967296, 2)")})
    archive("bad_truncated.npz", {"X.npy": x[:-4], "y.npy": y})
    archive("bad_header_length.npz", {"X.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}"})
    archive("bad_no_array.npz", {"X.npy": b"not an array at all"})
    archive("bad_bzip2.npz", {"X.npy": x}, zipfile.ZIP_BZIP2)
    damaged = bytearray((FOLDER / "float32_integers.npz").read_bytes())
    damaged[damaged.index(b"\x93NUMPY") + 130] ^= 1  # a bit of the data, behind the header
    (FOLDER / "bad_checksum.npz").write_bytes(damaged)
    patched("bad_claimed_size.npz", 24, b"\xff\xff\xff\x7f")  # the entry's size: 2 GiB
    patched("bad_encrypted.npz", 8, b"\x01")
    patched("bad_offset.npz", 42, b"\x01")


if __name__ == "__main__":
    write_good()
    write_refused()
