"""A second reader of coffre's repositories, written from docs/format.md alone (the numbers below are its sections).

It shows that the page is enough: it shares no code with coffre, and needs Python's standard library, gpg, gpgv and zstd.
It opens a repository's folder with nothing but the root's fingerprint, refuses what the page says is to be refused, decrypts
with one secret key, counts and digests every row, and holds it all against the inventory. It keeps an artifact in memory,
restores nothing, and is no tool for people.

    python3 -B test/compare/second_reader ROOT SOURCE SECRET_KEY_FILE PASSPHRASE_FILE PG_RESTORE REPOSITORY[@BACKUP]...

prints one line of JSON for each repository: {"backups": [...], "refused": {stage: code}}, with the stages open, read, verify
and use of test/vectors/README.md. PG_RESTORE is a program that turns the large objects' archive into SQL, or empty: that
archive's own format is PostgreSQL's. An empty passphrase file stands for a key without one.
"""
import hashlib
import json
import re
import shutil
import sys
import tempfile

from contents import check_rows, decompress, digest_text, large_objects
from openpgp import Opener, check_body, check_envelope
from repository import Repository, check_stored
from shapes import INVENTORY, INVENTORY_OF_STANDBY, Refused, complete_inventory, fits, need, parse_json


def use(repository, folder, manifest, opener, pg_restore):
    """Everything that a restore reads, in its order: the inventory first."""
    plains, inventory = {}, None
    for entry in sorted(manifest["artifacts"], key=lambda one: one["kind"] != "inventory"):
        name = entry["name"]
        data = repository.get(f"{folder}/{name}", "ERR_DIGEST")
        check_stored(data, entry)
        check_envelope(data[: entry["envelope"]["bytes"]], manifest["recipients"])
        check_body(data[entry["envelope"]["bytes"] :])
        plain = decompress(opener().decrypt(data, name), manifest["compression"]["algorithm"], manifest["plainBytes"], name)
        plains[name] = {"name": name, "plainBytes": len(plain), "plainSha256": hashlib.sha256(plain).hexdigest()}
        if entry["kind"] == "inventory":
            inventory = complete_inventory(parse_json(plain, name))
            need(fits(inventory, (INVENTORY, INVENTORY_OF_STANDBY)), name)
            need(all(inventory[one] == manifest[one] for one in ("source", "backup")), f"{name}: of another place", "ERR_SIGNATURE")
            rows = {one["name"]: one for one in inventory["rowArtifacts"]}
            need(len(rows) == len(inventory["rowArtifacts"]), f"{name}: an artifact twice")
            need(set(rows) == {one["name"] for one in manifest["artifacts"] if one["kind"] == "rows"}, f"{name}: other artifacts")
            carriers = sum(one["sequences"] for one in rows.values())
            need(carriers == 1 or carriers == 0 and not inventory["sequences"], f"{name}: sequences")
            totals = {}
        elif entry["kind"] == "rows":
            check_rows(plain, rows[name], inventory, totals)
        elif entry["kind"] == "large-objects" and pg_restore:
            need(large_objects(plain, pg_restore) == inventory["largeObjects"], f"{name}: other large objects", "ERR_DIGEST")
    for index, table in enumerate(inventory["tables"]):
        count, high, low = totals.get(index, [0, 0, 0])
        need((count, digest_text([high, low])) == (table["rows"], table["digest"]), f"{table['name']}: other rows", "ERR_DIGEST")
    need(sum(one["plainBytes"] for one in plains.values()) == manifest["plainBytes"], "plainBytes")
    artifacts = [plains[one["name"]] for one in manifest["artifacts"]]
    return {"id": manifest["backup"], "artifacts": artifacts, **{key: inventory[key] for key in ("tables", "sequences", "largeObjects")}}


def verify(repository, folder, manifest):
    repository.check_chain(manifest["source"], manifest["backup"])
    for entry in manifest["artifacts"]:
        check_stored(repository.get(f"{folder}/{entry['name']}", "ERR_DIGEST"), entry)
    guide, told = repository.get(f"{folder}/RESTORE.md", "ERR_DIGEST"), manifest["restoreGuide"]
    need((len(guide), hashlib.sha256(guide).hexdigest()) == (told["bytes"], told["sha256"]), "RESTORE.md", "ERR_DIGEST")


def examine(work, path, root, source, only, opener, pg_restore):
    found, refused, messages = [], {}, []

    def stage(name, act):
        try:
            return act()
        except Refused as error:
            refused[name] = error.code
            messages.append(str(error))
            return None

    repository = stage("open", lambda: Repository(work, path, root))
    for backup in [] if repository is None else [only] if only else repository.backups(source):
        folder = f"backups/{source}/{backup}"
        read = stage("read", lambda: repository.manifest(source, backup))
        if read is not None:
            stage("verify", lambda: verify(repository, folder, read[0]))
            found.append(stage("use", lambda: use(repository, folder, read[0], opener, pg_restore)))
    return {"backups": [one for one in found if one], "refused": refused, "messages": messages}


def main():
    root, source, secret_key, passphrase, pg_restore, *places = sys.argv[1:]
    work, opened = tempfile.mkdtemp(prefix="sr-", dir="/tmp"), []  # gpg's socket needs a short path

    def opener():
        if not opened:
            opened.append(Opener(work, secret_key, passphrase))
        return opened[0]

    try:
        for place in places:
            path, only = re.fullmatch(r"(.*?)(?:@([^@/]+))?", place, re.DOTALL).groups()
            print(json.dumps(examine(work, path, root, source, only, opener, pg_restore)), flush=True)
    finally:
        for one in opened:
            one.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
