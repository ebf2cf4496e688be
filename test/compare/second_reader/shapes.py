"""The JSON of docs/format.md, sections 2, 4, 5 and 8: its one form, its members, and the first form of inventories."""
import json
import re


class Refused(Exception):
    """What a reader must not use; `code` is the name of section 12."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def need(condition, message, code="ERR_FORMAT"):
    if not condition:
        raise Refused(code, message)


TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
FINGERPRINT, SHA256, DIGEST = re.compile("[0-9A-F]{40}"), re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")
SOURCE, BACKUP = re.compile("[a-z0-9][a-z0-9_-]{0,62}"), re.compile("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
VERSION = re.compile(r"[0-9][A-Za-z0-9_.+~ ():-]{0,80}")
NAME = re.compile(r"[^\0]{1,255}", re.DOTALL)
MAYBE = (str, None)
PART = {"bytes": int, "sha256": SHA256}
REPOSITORY = {"type": {"coffre-repository"}, "format": {1}, "id": DIGEST, "createdAt": TIME}
KEYRING = {
    "type": {"coffre-keyring"}, "format": {1}, "repository": DIGEST, "version": int, "createdAt": TIME,
    "root": {"fingerprint": FINGERPRINT, "publicKey": str},
    "recipients": [{"fingerprint": FINGERPRINT, "subkey": FINGERPRINT, "publicKey": str}],
    "signers": [{"fingerprint": FINGERPRINT, "role": {"host", "driller", "operator"}, "sources": [("*", SOURCE)], "publicKey": str}],
}
ARTIFACT = {
    "name": str, "kind": {"globals", "schema", "rows", "large-objects", "inventory"}, **PART,
    "envelope": PART, "body": PART, "chunks": [SHA256],
}
MANIFEST = {
    "type": {"coffre-manifest"}, "format": {1}, "repository": DIGEST, "source": SOURCE, "backup": BACKUP,
    "systemIdentifier": re.compile("[0-9]{1,20}"), "sequence": int, "previous": (SHA256, None), "keyring": int,
    "snapshotTime": TIME, "startedAt": TIME, "finishedAt": TIME, "coffre": str,
    "postgres": {"server": VERSION, "pgDump": VERSION, "minimumPgRestore": VERSION}, "dumpOptions": [str],
    "compression": {"algorithm": {"zstd", "gzip"}, "level": int}, "chunkBytes": {8388608},
    "recipients": [{"fingerprint": FINGERPRINT, "subkey": FINGERPRINT}], "plainBytes": int,
    "restoreGuide": {"name": {"RESTORE.md"}, **PART}, "artifacts": [ARTIFACT],
}
ROLE_FLAGS = ("superuser", "inherit", "createRole", "createDatabase", "login", "replication", "bypassRowSecurity")
ROLE = {
    "name": NAME, **{flag: bool for flag in ROLE_FLAGS}, "connectionLimit": int, "validUntil": MAYBE, "passwordVerifier": MAYBE,
    "comment": MAYBE, "owns": bool, "settings": [{"name": str, "value": str}],
    "memberOf": [{"role": NAME, "admin": bool, "inherit": (bool, None), "set": (bool, None)}],
}
DATABASE = {
    "name": NAME, "owner": NAME, "encoding": str, "localeProvider": {"libc", "icu", "builtin"}, "collate": str,
    "characterType": str, "locale": MAYBE, "icuRules": MAYBE, "collationVersion": MAYBE, "tablespace": NAME,
    "tablespaces": [NAME], "connectionLimit": int, "comment": MAYBE, "securityLabels": [{"provider": str, "label": str}],
    "grants": (None, [{"grantee": (NAME, None), "privilege": str, "grantable": bool}]),
    "settings": [{"role": (NAME, None), "name": str, "value": str}],
}
TABLE = {
    "schema": NAME, "name": NAME, "columns": [NAME], "partitioned": bool,
    "extension": (None, {"name": NAME, "condition": str}), "rows": int, "digest": DIGEST,
}
INVENTORY = {
    "type": {"coffre-inventory"}, "format": {1}, "backup": BACKUP, "source": SOURCE,
    "server": {"version": str, "versionNumber": int, "systemIdentifier": str}, "database": DATABASE, "roles": [ROLE],
    "extensions": [{"name": NAME, "version": str}], "superuserOnly": [{"kind": str, "name": str}], "tables": [TABLE],
    "sequences": [{"schema": NAME, "name": NAME, "lastValue": re.compile("-?[0-9]+"), "isCalled": bool}],
    "largeObjects": (None, {"objects": int, "rows": int, "digest": DIGEST}),
    "rowArtifacts": [{"name": str, "sequences": bool, "blocks": [{"table": int, "bytes": int, "rows": int, "digest": DIGEST}]}],
}


# With a member that is absent where there is nothing to say.
INVENTORY_OF_STANDBY = INVENTORY | {"rowsNotRead": [{"schema": NAME, "name": NAME}]}


def fits(value, shape):
    """A set: one of its values. A tuple: one of its shapes. A list: a list of that shape. A dict: just these members."""
    if isinstance(shape, set):
        return any(type(value) is type(one) and value == one for one in shape)
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and set(value) == set(shape) and all(fits(value[key], shape[key]) for key in shape)
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    return type(value) is shape if isinstance(shape, type) else value is None if shape is None else value == shape


def parse_json(data, what):
    def whole(digits):
        need(abs(int(digits)) < 2**53, f"{what}: a number too large")
        return int(digits)

    def never(text):
        raise Refused("ERR_FORMAT", f"{what}: {text} is no whole number")

    try:
        value = json.loads(data.decode("utf-8"), parse_int=whole, parse_float=never, parse_constant=never)
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        text = re.sub("[\ud800-\udfff]", lambda one: f"\\u{ord(one[0]):04x}", text)
    except (ValueError, RecursionError) as error:
        raise Refused("ERR_FORMAT", f"{what}: {error}")
    need(text.encode() == data, f"{what} is not in the one form of JSON")
    return value


def json_or_refuse(data, what):
    """Loosely, to find the keys to check with."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    need(isinstance(value, dict), f"{what} is no JSON")
    return value


def complete_inventory(value):
    """The first form of the inventory, read as the page says."""
    first = isinstance(value, dict) and "extensions" not in value
    if first and isinstance(value.get("database"), dict):
        value |= {"extensions": [], "superuserOnly": []}
        value["database"] |= {"collationVersion": None, "tablespace": "pg_default", "tablespaces": [], "securityLabels": []}
        for role in value.get("roles", []):
            role |= {"comment": None, "owns": True, "settings": []}
            role["memberOf"] = [{"role": one, "admin": False, "inherit": None, "set": None} for one in role["memberOf"]]
        for table in value.get("tables", []):
            table["partitioned"] = False
    return value
