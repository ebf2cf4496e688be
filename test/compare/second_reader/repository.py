"""Objects, keyrings and manifests: docs/format.md, sections 1, 4 and 5."""
import hashlib
import os
import re

from openpgp import check_signature, public_key
from shapes import BACKUP, KEYRING, MANIFEST, REPOSITORY, Refused, fits, json_or_refuse, need, parse_json


class Repository:
    def __init__(self, work, folder, root):
        self.work, self.folder, self.root, self.keyrings = work, folder, root, {}
        place = parse_json(self.get("coffre.json"), "coffre.json")
        need(fits(place, REPOSITORY), "coffre.json")
        self.id = place["id"]
        names = sorted(os.listdir(os.path.join(folder, "keyrings"))) if os.path.isdir(os.path.join(folder, "keyrings")) else []
        for name in names:
            if re.fullmatch(r"[0-9]{4,}\.json", name):
                self.keyrings[int(name[:-5])] = self.keyring(f"keyrings/{name}", int(name[:-5]))
        need(self.keyrings, "no keyring", "ERR_STORE")

    def get(self, key, code="ERR_STORE", limit=None):
        try:
            with open(os.path.join(self.folder, key), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise Refused(code, f"there is no {key}")
        need(limit is None or len(data) <= limit, f"{key} is too large")
        return data

    def keyring(self, key, version):
        data = self.get(key, limit=4 << 20)
        loose = json_or_refuse(data, key)
        root = loose.get("root")
        need(fits(root, KEYRING["root"]), f"{key}: root")
        signed = check_signature(self.work, data, self.get(f"{key}.asc", "ERR_SIGNATURE"), [public_key(root["publicKey"], self.root)])
        need(signed == (self.root, self.root) and root["fingerprint"] == self.root, f"{key}: not by the root", "ERR_SIGNATURE")
        value = parse_json(data, key)
        need(fits(value, KEYRING) and value["recipients"] and value["signers"], key)
        need((value["repository"], value["version"]) == (self.id, version), f"{key}: of another place", "ERR_SIGNATURE")
        return value

    def backups(self, source):
        folder = os.path.join(self.folder, "backups", source)
        return [one for one in sorted(os.listdir(folder)) if BACKUP.fullmatch(one) and os.path.exists(f"{folder}/{one}/manifest.json")]

    def manifest(self, source, backup):
        key = f"backups/{source}/{backup}/manifest.json"
        data = self.get(key, "ERR_NO_BACKUP", limit=64 << 20)
        keyring = self.keyrings.get(json_or_refuse(data, key).get("keyring"))
        need(keyring, f"{key}: names no keyring that is there", "ERR_SIGNATURE")
        signers = [one for one in keyring["signers"] if one["role"] == "host" and {source, "*"} & set(one["sources"])]
        need(signers, f"{key}: nobody may sign", "ERR_SIGNATURE")
        keys = [public_key(one["publicKey"], one["fingerprint"]) for one in signers]
        check_signature(self.work, data, self.get(f"{key}.asc", "ERR_SIGNATURE"), keys)
        value = parse_json(data, key)
        need(fits(value, MANIFEST), key)
        place = (value["repository"], value["source"], value["backup"])
        need(place == (self.id, source, backup), f"{key}: of another place", "ERR_SIGNATURE")
        check_manifest(value)
        return value, hashlib.sha256(data).hexdigest()

    def check_chain(self, source, backup):
        """No number twice, and the one before is the one that is named (5); what is not to be believed does not count."""
        known = {}
        for one in self.backups(source):
            try:
                known[one] = self.manifest(source, one)
            except Refused:
                pass
        mine = known[backup][0]
        sealed_for = self.keyrings[mine["keyring"]]["recipients"]
        pairs = [sorted((one["fingerprint"], one["subkey"]) for one in named) for named in (mine["recipients"], sealed_for)]
        need(pairs[0] == pairs[1], "its recipients are not those of its keyring", "ERR_SIGNATURE")
        for one, (manifest, sha256) in known.items():
            need(one == backup or manifest["sequence"] != mine["sequence"], "two manifests with one number", "ERR_SIGNATURE")
            follows = manifest["sequence"] != mine["sequence"] - 1 or sha256 == mine["previous"]
            need(follows, "it does not follow the one before", "ERR_SIGNATURE")


def check_manifest(manifest):
    suffix = {"zstd": "zst", "gzip": "gz"}[manifest["compression"]["algorithm"]]
    stems = {"globals": r"globals\.sql", "schema": r"schema\.dump", "rows": r"rows/[0-9]{4,6}\.sql"}
    stems |= {"large-objects": r"large-objects\.dump", "inventory": r"inventory\.json"}
    artifacts = manifest["artifacts"]
    names, kinds = [one["name"] for one in artifacts], [one["kind"] for one in artifacts]
    need(names == sorted(set(names)), "names of artifacts: order")
    need(all(kinds.count(kind) == 1 for kind in ("globals", "schema", "inventory")), "kinds of artifacts")
    need(manifest["recipients"] and manifest["sequence"] >= 1 and manifest["keyring"] >= 1, "manifest")
    for one in artifacts:
        need(re.fullmatch(rf"{stems[one['kind']]}\.{suffix}\.gpg", one["name"]), f"{one['name']} is no name of its kind")
        need(one["envelope"]["bytes"] + one["body"]["bytes"] == one["bytes"], f"{one['name']}: sizes")
        need(min(one["envelope"]["bytes"], one["body"]["bytes"]) > 0 and len(one["chunks"]) == -(-one["bytes"] // 8388608), f"{one['name']}: chunks")


def check_stored(data, entry):
    sha256 = lambda part: hashlib.sha256(part).hexdigest()
    cut = entry["envelope"]["bytes"]
    same = len(data) == entry["bytes"] and sha256(data) == entry["sha256"]
    same = same and sha256(data[:cut]) == entry["envelope"]["sha256"] and sha256(data[cut:]) == entry["body"]["sha256"]
    same = same and [sha256(data[at : at + 8388608]) for at in range(0, len(data), 8388608)] == entry["chunks"]
    need(same, f"{entry['name']} is not what the manifest says", "ERR_DIGEST")
