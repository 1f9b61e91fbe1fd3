"""The verbs: tags, manifests, blobs and referrers, against a registry that keeps the spec and one that does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.layout import Descriptor
from scripts.errors import RegistryError
from scripts.release.download import copy_blob, get_blob
from scripts.release.referrers import Referrer, attach, list_referrers
from scripts.release.refusal import (
    CorruptError,
    DeniedError,
    NotFoundError,
    TakenError,
    TemporaryError,
    UnsupportedError,
)
from scripts.release.registry import (
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    delete_manifest,
    get_manifest,
    has_blob,
    head_manifest,
    list_tags,
    put_manifest,
    retag,
)

from .conftest import DIGEST
from .faulty_registry import Act, Client, FaultyRegistry, connect, edit, hang_up, lose, say
from .memory_registry import errors, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.transport import Transport

NAME = "vessl-ai/torch"
CONTENT = b'{ "schemaVersion": 2,\n  "config": {"mediaType": "application/vnd.oci.image.config.v1+json"} }'


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as found:
        yield found


@pytest.fixture
def client() -> Iterator[Client]:
    with connect() as found:
        yield found


@pytest.fixture
def transport(client: Client) -> Transport:
    return client.transport


# Tags


def test_all_pages_are_read_and_the_tags_sorted_by_us(registry: FaultyRegistry, transport: Transport) -> None:
    tags = [f"3.11-r{number}" for number in range(250)]
    registry.put(CONTENT, OCI_MANIFEST, *tags)
    assert list_tags(transport, registry.repository()) == tuple(sorted(tags))
    assert registry.log == [
        f"GET /v2/{NAME}/tags/list?n=1000",
        f"GET /v2/{NAME}/tags/list?n=100&last=3.11-r188",
        f"GET /v2/{NAME}/tags/list?n=100&last=3.11-r53",
    ]


def page(*tags: str | None) -> bytes:
    return json.dumps({"name": NAME, "tags": None if None in tags else tags}).encode()


def test_short_and_empty_pages_are_not_the_end_and_the_order_is_not_trusted(
    registry: FaultyRegistry, transport: Transport
) -> None:
    for tags, link in (((), "a"), (("c",), "b"), ((None,), "d"), (("b", "a"), "e")):
        registry.fail("GET", "/tags/", say(200, page(*tags), Link=f'<?n=9&last={link}>; rel="next"'))
    registry.fail("GET", "/tags/", say(200, page("0", "b")))
    assert list_tags(transport, registry.repository()) == ("0", "a", "b", "c")
    assert registry.log[1] == f"GET /v2/{NAME}/tags/list?n=9&last=a"


@pytest.mark.parametrize(
    "link",
    [
        "</v2/vessl-ai/torch/tags/list?last=a&n=1>; rel=next",
        '<list?last=a&n=1>; rel="next"',
        "<https://elsewhere.example/v2/vessl-ai/torch/tags/list?last=a&n=1>; rel=next",
        '</prev>; rel="prev", <list?last=a&n=1>; title="x"; rel="next"',
    ],
)
def test_a_link_is_followed_at_the_same_registry_however_it_is_written(
    registry: FaultyRegistry, transport: Transport, link: str
) -> None:
    registry.fail("GET", "/tags/", say(200, page("a"), Link=link))
    registry.fail("GET", "/tags/", say(200, page("b"), Link='</first>; rel="first"'))
    assert list_tags(transport, registry.repository()) == ("a", "b")
    assert registry.log[1] == f"GET /v2/{NAME}/tags/list?last=a&n=1"


def test_a_page_that_leads_back_is_an_error(registry: FaultyRegistry, transport: Transport) -> None:
    for tag, link in (("a", "list?last=a"), ("b", "list?last=b"), ("c", "list?last=a")):
        registry.fail("GET", "/tags/", say(200, page(tag), Link=f"<{link}>; rel=next"))
    with pytest.raises(RegistryError) as caught:
        list_tags(transport, registry.repository())
    assert str(caught.value) == (
        f"{registry.repository()}: list of its tags: after page 3 the registry leads back to an earlier one"
    )


def test_a_page_that_comes_again_under_another_address_is_an_error(
    registry: FaultyRegistry, transport: Transport
) -> None:
    for number in range(9):
        registry.fail("GET", "/tags/", say(200, page("a", "b"), Link=f"<list?page={number}>; rel=next"))
    with pytest.raises(RegistryError) as caught:
        list_tags(transport, registry.repository())
    assert str(caught.value) == (
        f"{registry.repository()}: list of its tags: page 2 lists nothing that an earlier one did not"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "list of its tags: expected JSON with 'tags': is this a registry?"),
        (b"[]", "list of its tags: expected JSON with 'tags': is this a registry?"),
        (b'{"name": "a"}', "list of its tags: expected JSON with 'tags': is this a registry?"),
        (b'{"tags": "a"}', "list of its tags: tags: expected a list, got str"),
        (b'{"tags": ["a", 3]}', "list of its tags: expected strings"),
    ],
)
def test_what_is_no_list_of_tags_is_refused(
    registry: FaultyRegistry, transport: Transport, body: bytes, message: str
) -> None:
    registry.fail("GET", "/tags/", say(200, body))
    with pytest.raises(RegistryError) as caught:
        list_tags(transport, registry.repository())
    assert str(caught.value) == f"{registry.repository()}: {message}"


def test_a_repository_that_is_not_there_has_no_tags(registry: FaultyRegistry, transport: Transport) -> None:
    assert list_tags(transport, registry.repository()) == ()


def test_a_404_of_something_else_is_not_a_repository_without_tags(
    registry: FaultyRegistry, transport: Transport
) -> None:
    registry.fail("GET", "/tags/", say(404, b"<html>not here</html>"))
    with pytest.raises(NotFoundError) as caught:
        list_tags(transport, registry.repository())
    assert str(caught.value) == (
        f"{registry.repository()}: list of its tags: got 404 Not Found: check the name, and that it was pushed"
    )


# Manifests


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_manifest_of_each_kind_is_asked_for_read_and_written(
    registry: FaultyRegistry, transport: Transport, media_type: str
) -> None:
    repository = registry.repository()
    manifest = Manifest(media_type=media_type, content=CONTENT)
    stored = put_manifest(transport, repository.tag("1"), manifest)
    expected = Descriptor(media_type=media_type, digest=sha256(CONTENT), size=len(CONTENT))
    assert stored.descriptor == expected
    for reference in (repository.tag("1"), repository.digest(sha256(CONTENT))):
        assert head_manifest(transport, reference) == expected
        assert get_manifest(transport, reference) == manifest
    assert {seen.headers["Accept"] for seen in registry.requests[1:]} == {", ".join(MEDIA_TYPES)}
    assert registry.requests[0].headers["Content-Type"] == media_type


def test_what_is_not_there_is_none_to_a_question_and_an_error_to_a_demand(
    registry: FaultyRegistry, transport: Transport
) -> None:
    assert head_manifest(transport, registry.repository().tag("1")) is None
    with pytest.raises(NotFoundError) as caught:
        get_manifest(transport, registry.repository().tag("1"))
    assert str(caught.value) == (
        f"{registry.repository()}: manifest 1: got 404 Not Found (MANIFEST_UNKNOWN: manifest unknown): check the name, "
        "and that it was pushed"
    )
    assert caught.value.codes == ("MANIFEST_UNKNOWN",)


@pytest.mark.parametrize(
    "headers",
    [
        {"Docker_Content_Digest": None},
        {"Docker_Content_Digest": "sha512:" + "a" * 128},
        {"Content_Type": "application/json"},
        {"Content_Length": None},
    ],
)
def test_what_a_head_leaves_out_is_found_by_a_get(
    registry: FaultyRegistry, transport: Transport, headers: dict[str, Any]
) -> None:
    registry.put(CONTENT, OCI_MANIFEST, "1")
    registry.fail("HEAD", "/manifests/", edit(**headers))
    assert head_manifest(transport, registry.repository().tag("1")) == Descriptor(
        media_type=OCI_MANIFEST, digest=sha256(CONTENT), size=len(CONTENT)
    )
    assert [line.partition(" ")[0] for line in registry.log] == ["HEAD", "GET"]


def test_what_is_gone_between_head_and_get_is_not_there(registry: FaultyRegistry, transport: Transport) -> None:
    registry.put(CONTENT, OCI_MANIFEST, "1")
    registry.fail("HEAD", "/manifests/", edit(Docker_Content_Digest=None))
    registry.fail("GET", "/manifests/", say(404))
    assert head_manifest(transport, registry.repository().tag("1")) is None


def test_a_media_type_that_the_answer_lacks_is_read_from_the_manifest(
    registry: FaultyRegistry, transport: Transport
) -> None:
    content = json.dumps({"mediaType": OCI_INDEX}).encode()
    registry.put(content, "text/plain; charset=utf-8", "1")
    assert get_manifest(transport, registry.repository().tag("1")).media_type == OCI_INDEX
    registry.put(content, f"{OCI_MANIFEST.upper()}; charset=utf-8", "1")
    assert get_manifest(transport, registry.repository().tag("1")).media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b"{}", b'{"mediaType": "application/json"}', b'{"mediaType": []}']
)
def test_what_is_no_manifest_is_refused(registry: FaultyRegistry, transport: Transport, content: bytes) -> None:
    registry.put(content, "text/html", "1")
    with pytest.raises(RegistryError) as caught:
        get_manifest(transport, registry.repository().tag("1"))
    assert str(caught.value) == (f"{registry.repository()}:1: not an image manifest: it has no media type of one")


def test_a_wrong_digest_in_the_answer_is_found(registry: FaultyRegistry, transport: Transport) -> None:
    digest = registry.put(CONTENT, OCI_MANIFEST, "1")
    repository = registry.repository()
    registry.fail("GET", "/manifests/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        get_manifest(transport, repository.tag("1"))
    assert str(caught.value) == f"{repository}:1: the registry calls it {DIGEST}, but what it sent is {digest}"
    registry.fail("HEAD", "/manifests/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        head_manifest(transport, repository.digest(digest))
    assert str(caught.value) == f"{repository}@{digest}: the registry gave {DIGEST} in its place"


@pytest.mark.parametrize("digest", [None, "right"])
def test_other_bytes_than_those_of_the_digest_are_found(
    registry: FaultyRegistry, transport: Transport, digest: str | None
) -> None:
    right = registry.put(CONTENT, OCI_MANIFEST, "1")
    registry.fail("GET", "/manifests/", edit(body=b"{}", Docker_Content_Digest=digest and right))
    with pytest.raises(CorruptError) as caught:
        get_manifest(transport, registry.repository().digest(right))
    assert str(caught.value) == (f"{registry.repository()}@{right}: the registry gave {sha256(b'{}')} in its place")


def test_a_manifest_is_not_stored_under_another_digest(registry: FaultyRegistry, transport: Transport) -> None:
    with pytest.raises(CorruptError) as caught:
        put_manifest(
            transport, registry.repository().digest(DIGEST), Manifest(media_type=OCI_MANIFEST, content=CONTENT)
        )
    assert str(caught.value) == (
        f"{registry.repository()}@{DIGEST}: the manifest to be stored there is {sha256(CONTENT)}"
    )
    assert registry.requests == []


def test_a_registry_that_stores_something_else_is_found_out(registry: FaultyRegistry, transport: Transport) -> None:
    registry.fail("PUT", "/manifests/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        put_manifest(transport, registry.repository().tag("1"), Manifest(media_type=OCI_MANIFEST, content=CONTENT))
    assert str(caught.value) == (f"{registry.repository()}:1: sent {sha256(CONTENT)}, the registry stored {DIGEST}")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (409, errors("TAG_IMMUTABLE", "tag 1 is immutable"), "409 Conflict (TAG_IMMUTABLE: tag 1 is immutable)"),
        (409, b"", "409 Conflict"),
        (
            400,
            errors("TAG_INVALID", "The image tag '1' already exists"),
            "400 Bad Request (TAG_INVALID: The image tag '1' already exists)",
        ),
        (
            412,
            errors("PRECONDITION", "configured as immutable"),
            "412 Precondition Failed (PRECONDITION: configured as immutable)",
        ),
        (
            400,
            errors("ImageTagAlreadyExistsException", ""),
            "400 Bad Request (ImageTagAlreadyExistsException)",
        ),
    ],
)
def test_a_tag_that_is_kept_as_it_is_is_taken(
    registry: FaultyRegistry, client: Client, status: int, body: bytes, said: str
) -> None:
    registry.fail("PUT", "/manifests/", say(status, body))
    with pytest.raises(TakenError) as caught:
        retag_from_one(registry, client.transport)
    assert str(caught.value) == (
        f"{registry.repository()}: storing manifest 2: got {said}; the registry keeps {registry.repository()}:2 as it is"
    )
    assert caught.value.exit_code == 4
    assert client.slept == []


def retag_from_one(registry: FaultyRegistry, transport: Transport) -> Descriptor:
    registry.put(CONTENT, OCI_MANIFEST, "1")
    return retag(transport, registry.repository().tag("1"), registry.repository().tag("2"))


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RegistryError), (403, DeniedError), (412, RegistryError), (404, NotFoundError)]
)
def test_a_refusal_for_another_reason_is_not_taken(
    registry: FaultyRegistry, transport: Transport, status: int, kind: type[RegistryError]
) -> None:
    registry.fail("PUT", "/manifests/", say(status, errors("DENIED", "no")))
    with pytest.raises(RegistryError) as caught:
        retag_from_one(registry, transport)
    assert type(caught.value) is kind


def test_a_conflict_about_a_digest_is_not_a_tag_that_is_taken(registry: FaultyRegistry, transport: Transport) -> None:
    registry.fail("PUT", "/manifests/", say(409))
    manifest = Manifest(media_type=OCI_MANIFEST, content=CONTENT)
    with pytest.raises(RegistryError) as caught:
        put_manifest(transport, registry.repository().digest(manifest.digest), manifest)
    assert type(caught.value) is RegistryError


def test_a_retag_stores_the_very_bytes(registry: FaultyRegistry, transport: Transport) -> None:
    assert retag_from_one(registry, transport).digest == sha256(CONTENT)
    assert registry.tags[NAME]["2"] == sha256(CONTENT)
    assert bytes(registry.requests[-1].body) == CONTENT
    assert registry.requests[-1].headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("act", [lose, hang_up, say(503), say(429, Retry_After="1")])
def test_a_put_that_may_have_arrived_is_sent_again(registry: FaultyRegistry, transport: Transport, act: Act) -> None:
    registry.fail("PUT", "/manifests/", act)
    assert retag_from_one(registry, transport).digest == registry.tags[NAME]["2"]
    assert len([seen for seen in registry.requests if seen.method == "PUT"]) == 2


def test_a_tag_and_a_digest_are_deleted(registry: FaultyRegistry, transport: Transport) -> None:
    digest = registry.put(CONTENT, OCI_MANIFEST, "1")
    delete_manifest(transport, registry.repository().tag("1"))
    assert registry.tags[NAME] == {}
    delete_manifest(transport, registry.repository().digest(digest))
    assert registry.manifests[NAME] == {}
    with pytest.raises(NotFoundError):
        delete_manifest(transport, registry.repository().digest(digest))


@pytest.mark.parametrize("status", [400, 405])
def test_a_registry_that_does_not_delete_says_so(registry: FaultyRegistry, transport: Transport, status: int) -> None:
    registry.fail("DELETE", "/manifests/", say(status, errors("UNSUPPORTED", "The operation is unsupported.")))
    with pytest.raises(UnsupportedError) as caught:
        delete_manifest(transport, registry.repository().tag("1"))
    phrase = {400: "Bad Request", 405: "Method Not Allowed"}[status]
    assert str(caught.value) == (
        f"{registry.repository()}: deletion of 1: got {status} {phrase} (UNSUPPORTED: The operation is unsupported.): "
        "this registry does not do that, or is set up not to"
    )


# Blobs

DATA = bytes(range(256)) * 4096


def test_a_blob_is_there_or_not(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    assert has_blob(transport, blob)
    assert has_blob(transport, blob, size=len(DATA))
    assert not has_blob(transport, registry.repository().digest(DIGEST))


def test_a_blob_that_is_something_else_is_found(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    with pytest.raises(CorruptError) as caught:
        has_blob(transport, blob, size=3)
    assert str(caught.value) == f"{blob}: expected 3 bytes, the registry has {len(DATA)}"
    registry.fail("HEAD", "/blobs/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        has_blob(transport, blob)
    assert str(caught.value) == f"{blob}: the registry calls it {DIGEST}"


def test_a_blob_of_unknown_size_is_there_all_the_same(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("HEAD", "/blobs/", edit(Content_Length=None))
    assert has_blob(transport, blob, size=3)


def test_a_blob_is_written_to_a_file(registry: FaultyRegistry, transport: Transport, tmp_path: Path) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    with (tmp_path / "blob").open("wb") as file:
        assert copy_blob(transport, blob, file) == len(DATA)
    assert (tmp_path / "blob").read_bytes() == DATA


def test_a_blob_goes_on_where_the_connection_broke(registry: FaultyRegistry, client: Client) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    for cut in (300_000, 300_000, 0, 262_144, 100_000):
        registry.fail("GET", "/blobs/", edit(cut=cut))
    assert get_blob(client.transport, blob) == DATA
    ranges = [int(seen.headers.get("Range", "bytes=0-")[6:-1]) for seen in registry.requests]
    assert ranges == sorted(ranges)
    assert ranges[0] == 0 < ranges[1] < ranges[2]
    assert client.slept[:2] == [0.5, 0.5]


def test_a_registry_without_ranges_sends_it_all_again(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("GET", "/blobs/", edit(cut=600_000))
    registry.fail("GET", "/blobs/", say(200, DATA))
    assert get_blob(transport, blob) == DATA
    assert "Range" in registry.requests[1].headers


def test_a_range_that_was_not_asked_for_is_refused(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("GET", "/blobs/", edit(cut=600_000))
    registry.fail("GET", "/blobs/", edit(Content_Range="bytes 5-9/10"))
    with pytest.raises(RegistryError) as caught:
        get_blob(transport, blob)
    first = registry.requests[1].headers["Range"][6:-1]
    assert str(caught.value) == f"{blob}: asked for it from byte {first}, got it from 5"


def test_a_blob_that_breaks_every_time_is_given_up(registry: FaultyRegistry, client: Client) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("GET", "/blobs/", edit(cut=1), times=99)
    with pytest.raises(TemporaryError) as caught:
        get_blob(client.transport, blob)
    assert str(caught.value) == (
        f"{registry.repository()}: blob {blob.value}: {registry.host}: the connection broke in the middle of the answer"
    )
    assert len(registry.requests) <= 6


@pytest.mark.parametrize("content", [DATA[:-1], DATA + b"x", b"x" * len(DATA), b""])
def test_other_bytes_than_the_blobs_are_found(registry: FaultyRegistry, transport: Transport, content: bytes) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("GET", "/blobs/", edit(body=content))
    with pytest.raises(CorruptError) as caught:
        get_blob(transport, blob)
    assert str(caught.value) == f"{blob}: what the registry sent, {len(content)} bytes, is {sha256(content)}"


def test_a_blob_of_another_digest_is_not_read(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    registry.fail("GET", "/blobs/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        get_blob(transport, blob)
    assert str(caught.value) == f"{blob}: the registry calls it {DIGEST}"


def test_a_blob_over_the_limit_is_not_taken_into_memory(registry: FaultyRegistry, transport: Transport) -> None:
    blob = registry.repository().digest(registry.put_blob(DATA))
    with pytest.raises(RegistryError) as caught:
        get_blob(transport, blob, limit=len(DATA) - 1)
    assert str(caught.value) == f"{blob}: expected at most {len(DATA) - 1} bytes, got more"
    assert get_blob(transport, blob, limit=len(DATA)) == DATA


def test_a_blob_that_is_not_there_is_an_error(registry: FaultyRegistry, transport: Transport) -> None:
    with pytest.raises(NotFoundError) as caught:
        get_blob(transport, registry.repository().digest(DIGEST))
    assert str(caught.value) == (
        f"{registry.repository()}: blob {DIGEST}: got 404 Not Found (BLOB_UNKNOWN: blob unknown to registry): check "
        "the name, and that it was pushed"
    )


# Referrers


def note(text: str, subject: str, artifact_type: str = "application/vnd.vessl.note") -> Manifest:
    content = {"schemaVersion": 2, "artifactType": artifact_type, "annotations": {"text": text}}
    return Manifest(media_type=OCI_MANIFEST, content=json.dumps({**content, "subject": {"digest": subject}}).encode())


@pytest.mark.parametrize("api", [True, False])
def test_what_is_attached_is_listed(registry: FaultyRegistry, transport: Transport, api: bool) -> None:  # noqa: FBT001
    registry.referrers_api = api
    repository = registry.repository()
    subject = repository.digest(registry.put(CONTENT, OCI_MANIFEST))
    assert list_referrers(transport, subject) == ()
    notes = [note("a", subject.value), note("b", subject.value), note("c", subject.value, "application/other")]
    assert [attach(transport, repository, item) for item in notes] == [item.descriptor for item in notes]
    attach(transport, repository, notes[0])
    found = list_referrers(transport, subject)
    assert [item.descriptor for item in found] == [item.descriptor for item in notes]
    assert [item.descriptor for item in list_referrers(transport, subject, "application/other")] == [
        notes[2].descriptor
    ]
    tag = subject.value.replace(":", "-")
    assert (tag in registry.tags[NAME]) is not api
    if not api:
        assert found[0] == Referrer(
            descriptor=notes[0].descriptor, artifact_type="application/vnd.vessl.note", annotations={"text": "a"}
        )
        _, content = registry.manifests[NAME][registry.tags[NAME][tag]]
        index = json.loads(content)
        assert (index["schemaVersion"], index["mediaType"], len(index["manifests"])) == (2, OCI_INDEX, 3)


def test_pages_of_referrers_are_followed(registry: FaultyRegistry, transport: Transport) -> None:
    subject = registry.repository().digest(registry.put(CONTENT, OCI_MANIFEST))
    entries = [{"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": size, "artifactType": None} for size in (1, 2)]
    for entry, link in zip(entries, ("<?page=2>; rel=next", ""), strict=True):
        registry.fail("GET", "/referrers/", say(200, json.dumps({"manifests": [entry]}).encode(), Link=link))
    assert [item.descriptor.size for item in list_referrers(transport, subject)] == [1, 2]


def test_the_artifact_type_of_an_image_is_its_configs(registry: FaultyRegistry, transport: Transport) -> None:
    registry.referrers_api = False
    subject = registry.repository().digest(registry.put(CONTENT, OCI_MANIFEST))
    content = {"config": {"mediaType": "application/vnd.x.config"}, "subject": {"digest": subject.value}}
    attach(
        transport,
        registry.repository(),
        Manifest(media_type=OCI_MANIFEST, content=json.dumps(content).encode()),
    )
    (found,) = list_referrers(transport, subject)
    assert (found.artifact_type, found.annotations) == ("application/vnd.x.config", {})


def test_an_entry_that_another_writer_overwrote_is_written_again(registry: FaultyRegistry, client: Client) -> None:
    registry.referrers_api = False
    repository = registry.repository()
    subject = repository.digest(registry.put(CONTENT, OCI_MANIFEST))
    other, mine = note("other", subject.value), note("mine", subject.value)
    attach(client.transport, repository, other)
    tag = subject.value.replace(":", "-")
    theirs = registry.tags[NAME][tag]
    registry.fail("PUT", f"/manifests/{tag}", say(201), times=2)  # what they wrote at the same moment stays
    attach(client.transport, repository, mine)
    assert registry.tags[NAME][tag] != theirs
    assert {item.descriptor.digest for item in list_referrers(client.transport, subject)} == {other.digest, mine.digest}
    assert client.slept == [0.5, 1.0]


def test_an_entry_that_never_stays_is_an_error(registry: FaultyRegistry, client: Client) -> None:
    registry.referrers_api = False
    subject = registry.repository().digest(registry.put(CONTENT, OCI_MANIFEST))
    tag = subject.value.replace(":", "-")
    registry.fail("PUT", f"/manifests/{tag}", say(201), times=99)
    mine = note("mine", subject.value)
    with pytest.raises(TemporaryError) as caught:
        attach(client.transport, registry.repository(), mine)
    assert str(caught.value) == (
        f"{registry.repository()}:{tag}: {mine.digest} was added 5 times, and is still not listed"
    )


def test_an_entry_that_only_a_stale_answer_lacked_is_not_written_again(
    registry: FaultyRegistry, client: Client
) -> None:
    registry.referrers_api = False
    subject = registry.repository().digest(registry.put(CONTENT, OCI_MANIFEST))
    tag = subject.value.replace(":", "-")
    registry.fail("GET", f"/manifests/{tag}", say(404), times=2)
    attach(client.transport, registry.repository(), note("mine", subject.value))
    assert len([line for line in registry.log if line.startswith("PUT")]) == 2
    assert client.slept == [0.5]


@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"manifests": [3]}', b'{"manifests": null}'])
def test_a_list_under_the_tag_that_is_no_list_is_left_alone(
    registry: FaultyRegistry, transport: Transport, content: bytes
) -> None:
    registry.referrers_api = False
    subject = registry.repository().digest(DIGEST)
    tag = subject.value.replace(":", "-")
    registry.put(content, OCI_INDEX, tag)
    with pytest.raises(RegistryError) as caught:
        list_referrers(transport, subject)
    assert str(caught.value) == (
        f"{registry.repository()}:{tag}: expected an index of referrers, got {OCI_INDEX} with something else"
    )


def test_a_tag_that_is_no_list_of_referrers_is_left_alone(registry: FaultyRegistry, transport: Transport) -> None:
    registry.referrers_api = False
    subject = registry.repository().digest(registry.put(CONTENT, OCI_MANIFEST))
    tag = subject.value.replace(":", "-")
    digest = registry.put(CONTENT, OCI_MANIFEST, tag)
    with pytest.raises(RegistryError) as caught:
        attach(transport, registry.repository(), note("a", subject.value))
    assert str(caught.value) == (
        f"{registry.repository()}:{tag}: expected an index of referrers, got {OCI_MANIFEST} with something else"
    )
    assert registry.tags[NAME][tag] == digest


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b"{}", b'{"subject": {}}', b'{"subject": {"digest": "sha256:x"}}']
)
def test_a_manifest_without_subject_is_not_attached(
    registry: FaultyRegistry, transport: Transport, content: bytes
) -> None:
    with pytest.raises(RegistryError) as caught:
        attach(transport, registry.repository(), Manifest(media_type=OCI_MANIFEST, content=content))
    assert str(caught.value) == (
        f"{registry.repository()}@{sha256(content)}: a manifest without subject refers to nothing"
    )
    assert registry.requests == []


@pytest.mark.parametrize("entry", [3, {}, {"mediaType": "a", "digest": "b"}])
def test_a_list_of_referrers_with_faults_is_refused(
    registry: FaultyRegistry, transport: Transport, entry: object
) -> None:
    subject = registry.repository().digest(DIGEST)
    registry.fail("GET", "/referrers/", say(200, json.dumps({"manifests": [entry]}).encode()))
    with pytest.raises(RegistryError) as caught:
        list_referrers(transport, subject)
    assert str(caught.value) == (
        f"{registry.repository()}: referrers of {DIGEST}: manifests[0]: expected mediaType, digest and size"
    )
