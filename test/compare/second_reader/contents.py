"""What artifacts hold: compression, rows, their digest, large objects: docs/format.md, sections 6, 7 and 9."""
import re
import struct
import subprocess
import tempfile
import zlib

from shapes import Refused, need


def decompress(data, algorithm, limit, name):
    plain = b""
    if algorithm == "gzip":
        while data:
            member = zlib.decompressobj(wbits=31)
            try:
                plain += member.decompress(data, limit - len(plain) + 1)
            except zlib.error as error:
                raise Refused("ERR_FORMAT", f"{name}: {error}")
            need(len(plain) <= limit, f"{name} is larger than the manifest says")
            need(member.eof, f"{name}: gzip is cut short")
            data = member.unused_data
        return plain
    need(data[:4] == b"\x28\xb5\x2f\xfd", f"{name} is no zstd")
    with tempfile.TemporaryFile() as compressed:
        compressed.write(data)
        compressed.seek(0)
        with subprocess.Popen(["zstd", "-q", "-d", "-c", "--memory=128MB"], stdin=compressed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as zstd:
            plain = zstd.stdout.read(limit + 1)
            zstd.stdout.close()
    need(len(plain) <= limit, f"{name} is larger than the manifest says")
    need(zstd.returncode == 0, f"{name}: zstd ended with {zstd.returncode}")
    return plain


MASK = 2**64 - 1
P1, P2, P3, P4, P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotate(value, bits):
    return (value << bits | value >> 64 - bits) & MASK


def step(lane, word):
    return rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed):
    at = len(data) & ~31
    if at:
        a, b, c, d = (seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK
        for w, x, y, z in struct.iter_unpack("<4Q", data[:at]):
            a, b, c, d = step(a, w), step(b, x), step(c, y), step(d, z)
        total = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)
        for lane in (a, b, c, d):
            total = ((total ^ step(0, lane)) * P1 + P4) & MASK
    else:
        total = seed + P5
    total += len(data)
    for (word,) in struct.iter_unpack("<Q", data[at : len(data) & ~7]):
        total = (rotate((total ^ step(0, word)) & MASK, 27) * P1 + P4) & MASK
    at = len(data) & ~7
    if len(data) & 4:
        total = (rotate((total ^ int.from_bytes(data[at : at + 4], "little") * P1) & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        total = rotate((total ^ byte * P5) & MASK, 11) * P1 & MASK
    total = (total ^ total >> 33) * P2 & MASK
    total = (total ^ total >> 29) * P3 & MASK
    return total ^ total >> 32


def digest_of(rows):
    """The sums, high and low, as one number of which parts add up half by half."""
    return [sum(xxh64(row, 0x636F66667265) for row in rows) & MASK, sum(xxh64(row, 0) for row in rows) & MASK]


def digest_text(sums):
    return f"{sums[0]:016x}{sums[1]:016x}"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def check_rows(plain, artifact, inventory, totals):
    """Every block's header, size, rows and digest, and the sequences; adds to `totals` of the tables."""
    at = 0

    def expect(text, what):
        nonlocal at
        need(plain.startswith(text, at), f"{artifact['name']}: {what} at {at}")
        at += len(text)

    preamble = plain.find(b"\n\n", 0, 65536)
    need(preamble >= 0, f"{artifact['name']}: no preamble")
    need(all(line.startswith(b"SET ") for line in plain[:preamble].split(b"\n")), f"{artifact['name']}: preamble")
    at = preamble + 2
    encoding = inventory["database"]["encoding"]
    for block in artifact["blocks"]:
        need(0 <= block["table"] < len(inventory["tables"]), f"{artifact['name']}: no such table")
        table = inventory["tables"][block["table"]]
        columns = f" ({', '.join(map(quoted, table['columns']))})" if table["columns"] else ""
        special = "" if encoding == "UTF8" else f" WITH (ENCODING '{encoding}')"
        expect(f"COPY {quoted(table['schema'])}.{quoted(table['name'])}{columns} FROM STDIN{special};\n".encode(), "no header of its table")
        data = plain[at : at + block["bytes"]]
        need(len(data) == block["bytes"] and data[-1:] in (b"", b"\n"), f"{artifact['name']}: a block is cut short")
        rows = data.split(b"\n")[:-1]
        need(not any(row.startswith(b"\\.") for row in rows), f"{artifact['name']}: a row that ends the data")
        at += len(data)
        expect(b"\\.\n\n", "no end of a block")
        sums = digest_of(rows)
        need((len(rows), digest_text(sums)) == (block["rows"], block["digest"]), f"{artifact['name']}: other rows", "ERR_DIGEST")
        total = totals.setdefault(block["table"], [0, 0, 0])
        total[:] = [total[0] + len(rows), (total[1] + sums[0]) & MASK, (total[2] + sums[1]) & MASK]
    for one in inventory["sequences"] if artifact["sequences"] else ():
        name = f"{quoted(one['schema'])}.{quoted(one['name'])}".replace("'", "''")
        literal = " E'" + name.replace("\\", "\\\\") + "'" if "\\" in name else f"'{name}'"
        expect(f"SELECT pg_catalog.setval({literal}, {one['lastValue']}, {str(one['isCalled']).lower()});\n".encode(), "another sequence")
    need(at == len(plain), f"{artifact['name']}: something stands behind the end")


def large_objects(archive, pg_restore):
    """What the inventory says of them, from the SQL of which PostgreSQL's own program makes them."""
    script = subprocess.run([pg_restore, "-f", "-"], input=archive, check=True, capture_output=True).stdout.decode("latin1")
    contents, oid = {}, None
    for opened, written in re.findall(r"^SELECT pg_catalog\.(?:lo_open\('(\d+)'|lowrite\(0, '\\x([0-9a-f]*)')", script, re.MULTILINE):
        oid = int(opened) if opened else oid
        contents[oid] = contents.get(oid, "") + written
    rows = []
    for one, text in contents.items():
        for n in range(len(text) // 2**21 + 1):
            rows.append(f"{one}\t{n}\t\\\\x{text[n * 2**21 : (n + 1) * 2**21]}".encode())
    return {"objects": len(contents), "rows": len(rows), "digest": digest_text(digest_of(rows))} if contents else None
