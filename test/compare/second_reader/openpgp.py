"""What docs/format.md says of OpenPGP, sections 3 and 6: keys, signatures (by gpgv), envelopes, bodies (by gpg)."""
import base64
import binascii
import hashlib
import os
import re
import struct
import subprocess

from shapes import Refused, need


def dearmor(text, kind):
    base, checksum = r"([A-Za-z0-9+/=\n]+?)", r"(?:\n=[A-Za-z0-9+/]{4})?"
    form = rf"-----BEGIN PGP {kind}-----\n(?:[A-Za-z]+: .*\n)*\n{base}{checksum}\n-----END PGP {kind}-----\n*"
    found = re.fullmatch(form, text.replace("\r\n", "\n"))
    need(found, f"no armored {kind}")
    try:
        return base64.b64decode(found[1].replace("\n", ""), validate=True)
    except binascii.Error as error:
        raise Refused("ERR_FORMAT", f"armor: {error}")


def length_at(data, at):
    """A new-format length: its value, whether it is partial, and where what it counts begins (RFC 9580, 4.2.1)."""
    need(at < len(data), "a packet is cut short")
    first = data[at]
    if first < 192:
        return first, False, at + 1
    if 224 <= first < 255:
        return 1 << (first & 31), True, at + 1
    need(at + (5 if first == 255 else 2) <= len(data), "a packet is cut short")
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), False, at + 5
    return (first - 192 << 8) + data[at + 1] + 192, False, at + 2


def packets(data):
    """Every packet of definite length, as (tag, body)."""
    at, found = 0, []
    while at < len(data):
        first = data[at]
        need(first & 0x80, "no packet where one must be")
        if first & 0x40:
            tag, (size, partial, at) = first & 0x3F, length_at(data, at + 1)
            need(not partial, "a partial length")
        else:
            octets = {0: 1, 1: 2, 2: 4}.get(first & 3)
            need(octets, "an indeterminate length")
            tag, size, at = first >> 2 & 15, int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets
        need(at + size <= len(data), "a packet is cut short")
        found.append((tag, data[at : at + size]))
        at += size
    return found


def public_key(armored, fingerprint):
    """The key's packets, if it is the one key with this fingerprint, computed."""
    data = dearmor(armored, "PUBLIC KEY BLOCK")
    found = packets(data)
    need(found and found[0][0] == 6 and all(tag not in (5, 6, 7) for tag, _ in found[1:]), "not one public key")
    body = found[0][1]
    need(body[0] == 4 and (body[5] in (19, 22) or body[5] == 1 and int.from_bytes(body[6:8], "big") >= 3072), "a key of another kind")
    computed = hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest().upper()
    need(computed == fingerprint, "a key has another fingerprint", "ERR_SIGNATURE")
    return data


def check_signature(work, signed, armored, keys):
    """The primary key's and the signing key's fingerprints, if gpgv finds the one signature good by one of these keys."""
    try:
        signature = dearmor(armored.decode("ascii", "replace"), "SIGNATURE")
        found = packets(signature)
        need(len(found) == 1 and found[0][0] == 2 and found[0][1][:2] == b"\x04\x00", "not one signature, version 4, type 0")
    except Refused as error:
        raise Refused("ERR_SIGNATURE", str(error))
    paths = [os.path.join(work, name) for name in ("keys", "signature", "signed")]
    for path, data in zip(paths, (b"".join(keys), signature, signed)):
        with open(path, "wb") as file:
            file.write(data)
    ran = subprocess.run(["gpgv", "--homedir", work, "--status-fd", "1", "--keyring", *paths], capture_output=True)
    told = [line.split()[1:] for line in ran.stdout.decode("utf-8", "replace").splitlines() if line.startswith("[GNUPG:] ")]
    words = [line[0] for line in told]
    bad = {"REVKEYSIG", "EXPKEYSIG", "EXPSIG", "BADSIG", "ERRSIG"} & set(words)
    good = ran.returncode == 0 and not bad and words.count("GOODSIG") == words.count("VALIDSIG") == 1
    need(good, "the signature is not good", "ERR_SIGNATURE")
    valid = told[words.index("VALIDSIG")]
    return valid[10], valid[1]


def check_envelope(data, recipients):
    found = packets(data)
    need(len(found) == len(recipients) <= 64, "envelope: not one packet for each recipient")
    for (tag, body), recipient in zip(found, recipients):
        need(tag == 1 and 12 < len(body) <= 2048 and body[0] == 3, "envelope: not a PKESK packet of version 3")
        need(body[1:9].hex().upper() == recipient["subkey"][-16:] and body[9] in (1, 18), "envelope: another recipient")
        end = 12 + (int.from_bytes(body[10:12], "big") + 7) // 8
        if body[9] == 18:
            need(end < len(body), "envelope: cut short")
            end += 1 + body[end]
        need(end == len(body), "envelope: a packet is not filled exactly")


def check_body(data):
    """One packet of encrypted data, to the last byte."""
    need(data[0] == 0xC0 | 18, "body: not encrypted data with integrity protection")
    at, partial, first = 1, True, True
    while partial:
        size, partial, at = length_at(data, at)
        need(not first or size > 0 and data[at : at + 1] == b"\x01", "body: version")
        first, at = False, at + size
    need(at == len(data), "body: cut short, or something is behind it")


class Opener:
    """gpg with one secret key, in a home of its own; its agent ends with it."""

    def __init__(self, work, secret_key, passphrase):
        self.home = os.path.join(work, "home")
        os.mkdir(self.home, 0o700)
        self.options = ["gpg", "--homedir", self.home, "--batch", "--no-tty", "--no-auto-key-retrieve"]
        self.options += ["--pinentry-mode", "loopback", "--passphrase-file", passphrase]
        subprocess.run([*self.options, "--import", secret_key], check=True, capture_output=True)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "gpg-agent"], check=False, capture_output=True)

    def decrypt(self, data, name):
        status = os.path.join(self.home, "status")
        command = [*self.options, "-vv", "--status-file", status, "-d"]
        ran = subprocess.run(command, input=data, capture_output=True, env={**os.environ, "LC_ALL": "C"})
        with open(status, encoding="utf-8") as file:
            told = [line[9:].split() for line in file]
        words = [line[0] for line in told]
        need("DECRYPTION_KEY" in words or "NO_SECKEY" not in words, f"{name}: not for this key", "ERR_NO_IDENTITY")
        need(ran.returncode == 0 and "GOODMDC" in words, f"{name} is not decrypted", "ERR_DIGEST")
        need(["DECRYPTION_INFO", "2", "9"] in [line[:3] for line in told], f"{name}: not AES-256 with an MDC")
        seen = re.findall(r"^:([a-z -]+):?.*\n(.*)", ran.stderr.decode("utf-8", "replace"), re.MULTILINE)
        inner = [(kind.strip(), rest) for kind, rest in seen if not kind.startswith("pubkey enc packet")]
        literal = ("literal data packet", '\tmode b (62), created 0, name="",')
        need(len(inner) == 2 and inner[0][0] == "encrypted data packet" and inner[1] == literal, f"{name}: other packets inside")
        return ran.stdout
