"""A registry that is only dictionaries: requests in, replies out, as the distribution-spec has it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX = "application/vnd.oci.image.index.v1+json"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@dataclass(frozen=True)
class Seen:
    """A request as it came; the body only where it was read."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytearray = field(default_factory=bytearray)

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"


@dataclass
class Reply:
    """What is sent back; ``cut`` is the number of bytes of the body after which the connection is cut."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


class MemoryRegistry:
    """What it holds, and what it can do; a test may look at and change all of it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = defaultdict(dict)
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.uploads: dict[str, bytearray] = {}
        self.page = 100
        self.referrers_api = True
        self.mounts = True
        self.location = "/v2/{name}/blobs/uploads/{id}?_state=a%3Db"
        self.challenge = ""
        self.users: dict[str, str] = {}
        self.tokens: dict[str, set[str]] = {}
        self.lifetime: int | None = 300
        self._numbers = itertools.count(1)

    def put(self, content: bytes, media_type: str, *tags: str, name: str = "vessl-ai/torch") -> str:
        digest = sha256(content)
        self.manifests[name][digest] = (media_type, content)
        self.tags[name].update(dict.fromkeys(tags, digest))
        return digest

    def put_blob(self, content: bytes, name: str = "vessl-ai/torch") -> str:
        self.blobs[name][sha256(content)] = content
        return sha256(content)

    def answer(self, seen: Seen) -> Reply:
        if seen.path == "/token":
            return self._token(seen)
        if self.challenge and not self._may(seen):
            return Reply(401, {"Www-Authenticate": self.challenge}, errors("UNAUTHORIZED", "authentication required"))
        for pattern, handle in (
            (r"/v2/(.+)/tags/list", self._tags),
            (r"/v2/(.+)/manifests/([^/]+)", self._manifest),
            (r"/v2/(.+)/blobs/uploads/(\d*)", self._upload),
            (r"/v2/(.+)/blobs/([^/]+)", self._blob),
            (r"/v2/(.+)/referrers/([^/]+)", self._referrers),
        ):
            if match := re.fullmatch(pattern, seen.path):
                return handle(seen, *match.groups())
        return Reply(404, {}, b"<html>no such page</html>")

    def _may(self, seen: Seen) -> bool:
        kind, _, value = seen.headers.get("Authorization", "").partition(" ")
        if self.challenge.startswith("Basic"):
            return kind == "Basic" and self._knows(value)
        name = seen.path.removeprefix("/v2/").partition("/tags/")[0].partition("/manifests/")[0].partition("/blobs/")[0]
        need = "pull" if seen.method in {"GET", "HEAD"} else "delete" if seen.method == "DELETE" else "push"
        return kind == "Bearer" and any(
            scope.startswith(f"repository:{name}:") and need in scope.rpartition(":")[2].split(",")
            for scope in self.tokens.get(value, ())
        )

    def _knows(self, basic: str) -> bool:
        name, _, password = base64.b64decode(basic).decode().partition(":")
        return self.users.get(name) == password

    def _token(self, seen: Seen) -> Reply:
        fields = parse_qsl(seen.body.decode() or seen.query)
        form = dict(fields)
        _, _, basic = seen.headers.get("Authorization", "").partition(" ")
        known = form.get("refresh_token") == "identity" or (basic and self._knows(basic))
        if self.users and not known:
            return Reply(401, {}, errors("UNAUTHORIZED", f"no such user: {basic}"))
        token = f"secret-token-{next(self._numbers)}"
        self.tokens[token] = {part for key, value in fields if key == "scope" for part in value.split(" ")}
        life = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return Reply(200, {}, json.dumps({"token": token, **life}).encode())

    def _tags(self, seen: Seen, name: str) -> Reply:
        if name not in self.tags:
            return Reply(404, {}, errors("NAME_UNKNOWN", "repository name not known to registry"))
        query = parse_qs(seen.query)
        size = min(self.page, int(query["n"][0]))
        tags = sorted(tag for tag in self.tags[name] if tag > query.get("last", [""])[0])
        page = tags[:size]
        link = f'</v2/{name}/tags/list?n={size}&last={page[-1]}>; rel="next"' if len(tags) > size else ""
        return Reply(200, {"Link": link} if link else {}, json.dumps({"name": name, "tags": page}).encode())

    def _manifest(self, seen: Seen, name: str, reference: str) -> Reply:
        if seen.method == "PUT":
            digest = self.put(bytes(seen.body), seen.headers.get("Content-Type", ""), name=name)
            if ":" not in reference:
                self.tags[name][reference] = digest
            subject = json.loads(seen.body).get("subject", {}).get("digest", "")
            found = {"Docker-Content-Digest": digest, "Location": f"/v2/{name}/manifests/{digest}"}
            return Reply(201, found | ({"OCI-Subject": subject} if subject and self.referrers_api else {}))
        digest = self.tags[name].get(reference, reference)
        if digest not in self.manifests[name]:
            return Reply(404, {}, errors("MANIFEST_UNKNOWN", "manifest unknown"))
        if seen.method == "DELETE":
            if not self.tags[name].pop(reference, None):
                self.manifests[name].pop(digest)
                for tag in [tag for tag, pointed in self.tags[name].items() if pointed == digest]:
                    del self.tags[name][tag]
            return Reply(202)
        media_type, content = self.manifests[name][digest]
        return Reply(200, {"Docker-Content-Digest": digest, "Content-Type": media_type}, content)

    def _blob(self, seen: Seen, name: str, digest: str) -> Reply:
        content = self.blobs[name].get(digest)
        if content is None:
            return Reply(404, {}, errors("BLOB_UNKNOWN", "blob unknown to registry"))
        headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
        if first := re.fullmatch(r"bytes=(\d+)-", seen.headers.get("Range", "")):
            start = int(first[1])
            if start >= len(content):
                return Reply(416)
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return Reply(206, headers, content[start:])
        return Reply(200, headers, content)

    def _upload(self, seen: Seen, name: str, number: str) -> Reply:
        query = dict(parse_qsl(seen.query))
        if seen.method == "POST":
            return self._begin(name, query)
        if number not in self.uploads:
            return Reply(404, {}, errors("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
        upload = self.uploads[number]
        if seen.method == "PATCH" and seen.headers["Content-Range"].partition("-")[0] != str(len(upload)):
            return Reply(416, self._where(name, number))
        upload += seen.body
        if seen.method == "PUT" and sha256(bytes(upload)) != query["digest"]:
            return Reply(400, {}, errors("DIGEST_INVALID", "provided digest did not match uploaded content"))
        if seen.method in {"PUT", "DELETE"}:
            del self.uploads[number]
            stored = {"Docker-Content-Digest": self.put_blob(bytes(upload), name)} if seen.method == "PUT" else {}
            return Reply(201 if stored else 204, stored)
        return Reply(202 if seen.method == "PATCH" else 204, self._where(name, number))

    def _begin(self, name: str, query: Mapping[str, str]) -> Reply:
        content = self.blobs[query.get("from", "")].get(query.get("mount", ""))
        if self.mounts and content is not None:
            return Reply(201, {"Docker-Content-Digest": self.put_blob(content, name)})
        number = str(next(self._numbers))
        self.uploads[number] = bytearray()
        return Reply(202, self._where(name, number))

    def _where(self, name: str, number: str) -> dict[str, str]:
        location = self.location.format(name=name, id=number, host=self.host)
        return {"Location": location, "Range": f"0-{max(0, len(self.uploads[number]) - 1)}"}

    def _referrers(self, _: Seen, name: str, digest: str) -> Reply:
        if not self.referrers_api:
            return Reply(404, {}, b"404 page not found")
        found = []
        for own, (media_type, content) in self.manifests[name].items():
            manifest = json.loads(content)
            if manifest.get("subject", {}).get("digest") == digest:
                entry = {"mediaType": media_type, "digest": own, "size": len(content)}
                told = {name: manifest[name] for name in ("artifactType", "annotations") if name in manifest}
                found.append({**entry, **told})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
        return Reply(200, {"Content-Type": INDEX}, json.dumps(index).encode())
