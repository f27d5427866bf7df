"""Writes the inputs of the fuzzers that begin from: corpus/<target>, which are all read, and
regressions/<target>, which once did harm or would like to.

The files are the same bytes on every run. An input may end with "\\x01" and a byte of options
(data_target.cc). Models and checkpoints that are read are written by seeds.cc.
"""

import gzip
import io
import json
import pathlib
import struct
import zipfile
import zlib

FOLDER = pathlib.Path(__file__).parent


def write(kind, name, content):
    path = FOLDER / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def options(kind=0, missing=False, nct=False, x=False, y=False):
    return b"\x01" + bytes([kind | missing << 3 | nct << 4 | x << 5 | y << 6])


def packed(content):
    return gzip.compress(content.encode(), mtime=0)


def npy_header(descr, shape, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def npy(descr, shape, code, numbers, fortran=False):
    return npy_header(descr, shape, fortran) + struct.pack(f"<{len(numbers)}{code}", *numbers)


def archive(entries, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression, compresslevel=9) as file:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            file.writestr(info, content, compression)
    return buffer.getvalue()


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write_text_corpora():
    ts = "@problemName p\n@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength false\n"
    write("corpus/ts", "labels", ts + "@classLabel true a b\n@data\n1,2:3,4:a\n5,?:6,?:b\n")
    write("corpus/ts", "gap", ts.encode() + b"@classLabel true a b\n@data\n1,?,2:3,4,5:a\n6:7:b\n"
          + options(missing=True))
    write("corpus/ts", "targets", "# c\n@targetLabel true\n@data\n1,-2.5e3:0.5\n1,2:?\n")
    write("corpus/ts", "unlabelled",
          "@classLabel false\n@seriesLength 2\n@equalLength true\n@data\n1,2\n3,4")
    write("corpus/ts", "packed", packed("@classLabel true 1 2.0\n@data\n1:1\n2:2\n"))
    write("corpus/rows", "tabs", "1\t0.5\t-1e-3\t+3\n10\t1\t2\tNaN\n")
    write("corpus/rows", "commas", "\ufeffb, 1, 2\r\n\r\na,3,4")
    write("corpus/rows", "blanks", "  1   2 3e-3\n  2  4\n")
    write("corpus/rows", "semicolons", b"a;1;;2\n?;3\n" + options(missing=True))
    write("corpus/rows", "utf16", "1\t2\n2\t3\n".encode("utf-16"))
    csv = "sample,step,x,y\n"
    write("corpus/csv", "labels", "sample,step,x,y,label\na,0,1,2,u\na,1,3,4,u\nb,0,5,6,v\n")
    write("corpus/csv", "quotes", 'sample,step,"x;""\n"\n"a,1",1,2\n"a,1",2,3\r\nb,1,4\n')
    write("corpus/csv", "dates",
          "Sample;Step;x;sample_weight\na;2024-02-29 12:30:00.5+01:00;0,5;2\na;2024/03/01;1;2\n")
    write("corpus/csv", "targets", "sample,step,x,target,target2\na,0,1,2,\na,1,1,2,\n")
    write("corpus/csv", "steps",
          (csv + "a,1,1,\na,2,2,3\n").encode() + options(kind=2, missing=True))
    write("corpus/csv", "step_targets",
          b"\tsample\tstep\tx\ttarget\n0\ta\t0\t1\t1\n1\ta\t1\t1\t2\n" + options(kind=4))
    write("corpus/csv", "packed", packed(csv + "a,1,1,2\n"))
    flat = "% c\n@relation r\n@attribute a numeric\n@attribute b real\n"
    write("corpus/arff", "labels", flat + "@attribute c {x,'y z'}\n@data\n1,2,x\n3,?,'y z' % c\n")
    write("corpus/arff", "target", flat + "@attribute target numeric\n@data\n1,2,0.5\n3,4,?\n")
    write("corpus/arff", "relational",
          "@relation r\n@attribute bag relational\n@attribute a numeric\n@end bag\n"
          "@attribute class {0,1}\n@data\n'1,2\\n3,4',0\n\"5\\n6\",1\n")
    write("corpus/arff", "unlabelled",
          flat.encode() + b"@data\n1,2\n?,3\n" + options(kind=5, missing=True))


def write_array_corpora():
    def x(descr, code, shape="(2, 3, 2)"):
        return npy(descr, shape, code, range(12))

    floats = x("<f4", "f")
    labels = npy("<i8", "(2,)", "q", [3, 5])
    ones = npy("<f8", "(2, 2)", "d", [1, 0.5, 2, 1])
    steps = npy("<f4", "(2, 3, 1)", "f", range(6), fortran=True)
    write("corpus/npy", "mapped", floats + labels + npy("<i4", "(2,)", "i", [2, 3]))
    write("corpus/npy", "gap", npy("<f4", "(1, 3)", "f", [1, float("nan"), float("nan")])
          + options(missing=True))
    write("corpus/npy", "converted", x("<f8", "d") + ones + options(kind=3))
    write("corpus/npz", "arrays", floats + labels + npy("<i4", "(2,)", "i", [2, 3])
          + npy("<f8", "(2,)", "d", [1, 0.5]))
    write("corpus/npz", "texts", x("<f8", "d", "(2, 6)") + npy_header("<U1", "(2,)")
          + "ab".encode("utf-32-le") + options(nct=True))
    write("corpus/npz", "bytes", x("|i1", "b") + npy_header("|S2", "(2,)") + b"a\0bc")
    write("corpus/npz", "numbers", x("<f2", "e") + ones + options(kind=3))
    write("corpus/npz", "step_numbers", npy("<f4", "(2, 3, 2)", "f", range(12), True) + steps)
    write("corpus/npz", "step_labels", x("<u2", "H") + npy("|u1", "(2, 3)", "B", [1] * 6)
          + options(kind=2))
    write("corpus/npz", "named", archive([("a.npy", floats), ("b.npy", labels)])
          + options(x=True, y=True))


def write_hostile_text():
    n = 13000
    write("regressions/ts", "dimensions_of_one_value",
          f"@classLabel true a\n@dimensions {n}\n@data\n" + "1:" * n + "a\n")
    write("regressions/ts", "dimensions_claimed",
          "@classLabel false\n@dimensions 1e9\n@data\n1:2\n")
    write("regressions/ts", "classes_of_one_letter",
          "@classLabel true" + "".join(f" {i}" for i in range(6000)) + "\n@data\n" + "1:5\n" * 4000)
    # Of the 1 MiB that a small file may unpack to, and of more.
    mib = 1 << 20
    labels = "".join(f"{i:x} 1\n" for i in range(20000))
    write("regressions/rows", "bomb_of_labels", packed(labels))
    write("regressions/rows", "bomb_of_short_rows", packed("1 2\n" * (mib // 4)))
    write("regressions/rows", "bomb_of_one_row", packed("1" + " 2" * (mib // 2 - 1)))
    write("regressions/rows", "bomb", packed("1 2\n" * (8 << 20)))
    # What looks at the end of a line for each of its parts takes minutes.
    write("regressions/rows", "slow_blanks_at_the_end",
          packed("1 2" + " 2" * (mib // 4) + " " * (mib // 2 - 9)))
    relation = "@attribute b relational\n@end b\n@attribute c {0}\n@data\n'"
    write("regressions/arff", "slow_blanks_behind_a_relation",
          packed(relation + "1\\n" * (mib // 6) + " " * (mib // 2 - 99) + "',0\n"))
    classes = ",".join(f"{i:x}" for i in range(22000))
    write("regressions/arff", "slow_blanks_behind_classes",
          packed("@attribute c {" + classes + " " * (mib // 2) + "}\n@data\n"))
    # A label of half a million characters that is the same number as others, and one that is sorted.
    write("regressions/csv", "slow_long_label",
          packed("sample,step,x,label\n,0,1," + "0" * (mib // 2) + "1\n"
                 + "".join(f",{i},1,1\n" for i in range(1, 26000))))
    write("regressions/rows", "slow_long_label",
          packed("".join(f"{i - 11000} 1\n" for i in range(11000)) + "0.5" + "0" * (mib // 2) + " 1\n"
                 + "".join(f"{i + 1} 1\n" for i in range(11000))))
    samples = "".join(f"{i:x},1,1,1\n" for i in range(20000))
    write("regressions/csv", "bomb_of_samples", packed("sample,step,x,target\n" + samples))
    columns = "".join(f",{i:x}" for i in range(24000))
    write("regressions/csv", "bomb_of_columns",
          packed("sample,step" + columns + ("\na,1" + ",1" * 24000) + "\n"))
    write("regressions/csv", "many_columns",
          "sample,step" + "".join(f",{i}" for i in range(8000)) + "\na,1" + "," * 8000 + "\n")
    write("regressions/csv", "open_quote", "sample,step,x\n" + '"' * 901)
    write("regressions/arff", "relation_of_empty_lines",
          "@attribute b relational\n@end b\n@attribute c {0}\n@data\n'" + "\\n" * 20000 + "',0\n")
    write("regressions/arff", "many_attributes",
          "@attribute a real\n" * 3000 + "@data\n" + "1," * 2999 + "1\n")


def write_hostile_archives():
    for count in (1040000, 16000000):
        zeros = npy_header("|i1", f"({count}, 1)") + bytes(count)
        write("regressions/npz", f"bomb_of_{count}", archive([("X.npy", zeros), ("y.npy", zeros)]))
    large = npy_header("<f4", "(1, 8000000)") + bytes(32000000)
    write("regressions/npz", "bomb", archive([("X.npy", large)]))
    named = npy_header("|i1", "(1000, 1000)") + bytes(1000000)
    texts = npy_header("|S1000", "(1000,)") + bytes(1000000)
    write("regressions/npz", "bomb_of_texts", archive([("X.npy", named), ("y.npy", texts)]))
    # All bytes of the file but its end unpack to 500 MB: one stream, ten entries.
    write("regressions/npz", "overlapping", overlapping(bytes(1 << 25), 16))
    array = npy("<f4", "(2, 3)", "f", [1] * 6)
    names = ("../../X.npy", "/X.npy", "X.npy")
    whole = archive([(name, array) for name in names], zipfile.ZIP_STORED)
    write("regressions/npz", "names_outside", whole)
    names = [f"{i}\n{'x' * 70}.npy" for i in range(60)]
    write("regressions/npz", "names_many", archive([(name, b"") for name in names]))
    for size in (1, 21, 22, 40, 100, len(whole) - 23, len(whole) - 1):
        write("regressions/npz", f"cut_{size}", whole[:size])
    for name, shape in (("huge", "(1000000000, 1000000000)"),
                        ("overflow", "(4294967296, 4294967296)"),
                        ("many_axes", "(" + "1, " * 2000 + ")"),
                        ("zero", "(0, 4611686018427387904, 8)")):
        write("regressions/npz", f"shape_{name}", npy_header("<f4", shape) + b"\0\0\0\0")
        write("regressions/npy", f"shape_{name}", npy_header("<f4", shape) + b"\0\0\0\0")
    write("regressions/npz", "texts_of_no_length",
          npy("<f4", "(2, 1)", "f", [1, 1]) + npy_header("|S0", "(2, 4611686018427387904)"))
    write("regressions/npz", "directory_far_away", whole[:-6] + b"\xff\xff\xff\x7f\0\0")


def overlapping(content, count):
    """Entries X, y, ... that share one deflated stream."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = deflate.compress(content) + deflate.flush()
    names = [b"X.npy", b"y.npy", b"lengths.npy", b"sample_weight.npy"]
    names += [b"x_%d.npy" % i for i in range(count - len(names))]
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 0, 0, 0, 0)
    directory = b""
    for name in names:
        directory += b"PK\1\2" + struct.pack(
            "<HHHHHHIIIHHHHHII", 20, 20, 0, 8, 0, 0, zlib.crc32(content), len(stream),
            len(content), len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(local + stream), 0)
    return local + stream + directory + b"PK\5\6" + end


def write_hostile_models():
    names = ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"]
    size = 1 << 20
    huge = {name: tensor("I64", [size, size], 0, 0) for name in names}
    write("regressions/model", "huge_tensors_of_no_bytes", safetensors(huge))
    write("regressions/model", "overlap", safetensors(
        {"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)}, bytes(12)))
    write("regressions/model", "gap", safetensors(
        {"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 8, 12)}, bytes(12)))
    write("regressions/model", "offsets_reversed",
          safetensors({"a": tensor("F32", [1], 4, 0)}, bytes(4)))
    write("regressions/model", "offsets_huge", safetensors(
        {"a": tensor("F32", [1 << 62], 0, (1 << 64) - 1)}, bytes(4)))
    write("regressions/model", "shape_overflows", safetensors(
        {"a": tensor("F32", [1 << 32, 1 << 30], 0, 0)}))
    write("regressions/model", "header_length", safetensors(b"{}", length=(1 << 64) - 8))
    write("regressions/model", "deep", safetensors(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"))
    write("regressions/model", "deep_metadata", safetensors(
        {"__metadata__": {"lockstep": '{"a":' * 900}}))
    write("regressions/model", "many_keys", safetensors(
        b"{" + b",".join(b'"%x":0' % i for i in range(3000)) + b"}"))
    write("regressions/model", "many_empty_tensors", safetensors(
        {f"{i}": tensor("F32", [0], 0, 0) for i in range(1000)}))
    write("regressions/model", "key_twice", safetensors(b'{"a":1,"a":2}'))
    write("regressions/model", "cut", safetensors({"a": tensor("F32", [9], 0, 36)}, bytes(30)))


def write_hostile_checkpoints():
    state = b'{"version":1,"bits":1}'
    for name, size in (("state_cut", len(state) - 1), ("state_long", len(state) + 8)):
        write("regressions/checkpoint", name, safetensors(
            {"checkpoint.state": tensor("U8", [size], 0, size)}, state))
    write("regressions/checkpoint", "state_of_floats", safetensors(
        {"checkpoint.state": tensor("F32", [2], 0, 8)}, bytes(8)))
    write("regressions/checkpoint", "state_deep", b'{"version":' + b"[" * 6000)
    write("regressions/checkpoint", "no_model", safetensors(
        {"checkpoint.state": tensor("U8", [len(state)], 0, len(state))}, state))


if __name__ == "__main__":
    write_text_corpora()
    write_array_corpora()
    write_hostile_text()
    write_hostile_archives()
    write_hostile_models()
    write_hostile_checkpoints()
