"""``invoke attest``, ``verify`` and ``scan``, apart from options and printing: a name and settings in, findings out."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scripts.build.layout import directory_of, layout_of, load_record
from scripts.build.wanted import Need, Severity
from scripts.contents.inventory_read import find_image
from scripts.contents.platforms import INDEXES
from scripts.contents.weaknesses import Scan
from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean
from scripts.release.attestations import find_bundles, find_documents
from scripts.release.commands import connect, reader_of
from scripts.release.companions import make_inventory
from scripts.release.cosign import CosignError, find_cosign
from scripts.release.evidence import attach_evidence, evidence_of_index, prepare_evidence, with_inventory
from scripts.release.place import place_of
from scripts.release.published import find_digest
from scripts.release.registry import get_manifest
from scripts.release.sbom import CYCLONEDX_TYPE, Origin, count_packages, make_sboms
from scripts.release.scan_policy import FILENAME, Policy, Verdict, judge, load_policy, unused
from scripts.release.scanners import NotScannedError, find_scanner, scan_sbom
from scripts.release.scans import keep_scan
from scripts.release.signer import find_trust
from scripts.release.statements import CYCLONEDX, render_json
from scripts.release.target import find_target
from scripts.release.tested import tested_images
from scripts.release.verify import Proofs, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.build.wanted import Scan as Wanted
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.findings import Finding
    from scripts.release.scan_policy import Judged
    from scripts.release.scanners import Report
    from scripts.release.target import Target
    from scripts.release.transport import Transport

    Say = Callable[[str], None]


def verify_image(
    word: str,
    key: str,
    images: Mapping[str, ImageSpec],
    settings: Settings,
    say: Say,
    *,
    may_install: bool,
    platform: str | None = None,
) -> tuple[Finding, ...]:
    """What is proven of a published image.

    :param platform: of several, only this one.
    :param key: a public key that is to have signed everything; empty: whom the settings believe.
    :raises ImagesError: if the image or the key is not to be had.
    """
    try:
        cosign = find_cosign(say, may_install=may_install)
    except CosignError as error:
        if key:
            raise
        say(f"warning: no signature can be checked: {error}")
        cosign = None
    trust = find_trust(key, settings, cosign)
    with connect(say) as transport:
        target = find_target(word, images, settings, transport)
        say(f"{word}: {target.digest}")
        return verify(
            Proofs(
                transport=transport,
                target=target,
                settings=settings,
                cosign=cosign,
                trust=trust,
                demanded=bool(key),
            ),
            platform,
        )


def attest_image(
    word: str, images: Mapping[str, ImageSpec], settings: Settings, say: Say, *, may_install: bool, dry_run: bool
) -> dict[str, Any]:
    """Attach to what was built here, and is published, what it lacks; a row that says what was done, or would be.

    :raises UsageError: if there is no such image, or it is not built.
    :raises NotFoundError: if it is not published.
    """
    if word not in images:
        raise UsageError(f'no image "{word}"{did_you_mean(word, images)}')
    spec, build = images[word], load_record(settings.out, word)
    if build is None:
        raise UsageError(f"{word} is not built: invoke build {spec.family} --version {spec.version}")
    repository = place_of(spec, settings).repository
    digests = dict.fromkeys([*(image.digest for image in build.images), build.digest])
    with connect(say) as transport:
        manifests = {digest: get_manifest(transport, repository.digest(digest)) for digest in digests}
        reader = reader_of(images.values(), settings, transport, say)
        evidence = {}
        for item in tested_images(build, spec, settings):
            prepared = prepare_evidence(settings, item.image, item.smoke, say, may_install=may_install)
            made = make_inventory(build, settings, replace(reader, platform=item.image.platform or None), say)
            digest = item.image.digest
            evidence[digest] = with_inventory(prepared, made, digest, settings.evidence.inventory)
        if build.platforms:
            evidence[build.digest] = evidence_of_index(settings, build, next(iter(evidence.values())))
        row = {"id": word, "digest": build.digest, "action": "attest", "why": ", ".join(evidence[build.digest].names)}
        if dry_run:
            return row
        done = [
            item
            for digest, manifest in manifests.items()
            for item in attach_evidence(transport, repository, manifest, evidence[digest], say)
        ]
    return {**row, "action": "attested" if done else "unchanged", "why": f"{len(done)} new" if done else "all is there"}


def scan_image(
    word: str,
    images: Mapping[str, ImageSpec],
    settings: Settings,
    say: Say,
    *,
    database: str | None = None,
    severity: str | None = None,
    platform: str | None = None,
) -> tuple[Judged, ...] | None:
    """What a scanner finds in an image, and what the policy of its family makes of that; a line sums it up.

    None: nothing was scanned, and need not be.

    :param database: in place of the settings', as is ``severity``.
    :param platform: of several; None: the usual one, which is said.
    :raises NotScannedError: if nothing was scanned, unless the settings say that it need not be.
    """
    wanted = override_scan(settings.scan, database, severity)
    if wanted.need is Need.OFF:
        say(f"warning: {word}: NOTHING WAS SCANNED: scanning is off in the settings (images.scan.need)")
        return None
    try:
        scanner = find_scanner()
        sbom, digest, family = _sbom_of(word, images, settings, say, platform)
        packages, report = _scan(scanner, sbom, wanted.database)
    except NotScannedError as error:
        if wanted.need is Need.REQUIRED:
            raise
        say(f"warning: {word}: {error}")
        return None
    keep_scan(
        settings.out,
        Scan(image=digest, scanner=report.scanner, database=report.database, packages=packages, found=report.found),
    )
    policy = load_policy(settings.root / family / FILENAME) if family else Policy()
    judged = judge(report.found, policy, wanted, datetime.datetime.now(datetime.UTC).date())
    for entry in unused(report.found, policy):
        say(f"{family}/{FILENAME}: {entry.id} was not found in {word}: is it still needed?")
    verdicts = Counter(str(item.verdict) for item in judged)
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdicts[verdict])
    say(
        f"{word}: {packages} packages of {digest[:19]} compared by {report.scanner} with its database of "
        f"{report.database[:10]}: {counts or 'none of them is listed there'}"
    )
    return judged


def _scan(scanner: str, sbom: bytes, database: str) -> tuple[int, Report]:
    """How many packages there are to look up, and what was found."""
    packages = count_packages(sbom)
    if not packages:
        raise NotScannedError("its SBOM lists no package")
    with TemporaryDirectory() as folder:
        path = Path(folder, "sbom.cdx.json")
        path.write_bytes(sbom)
        return packages, scan_sbom(scanner, path, database)


def override_scan(scan: Wanted, database: str | None, severity: str | None) -> Wanted:
    """The settings of a scan with what was given for this one.

    :raises UsageError: if there is no such severity.
    """
    if severity is not None and severity not in list(Severity):
        raise UsageError(f'--severity: no "{severity}"{did_you_mean(severity, Severity)}')
    return replace(
        scan,
        severity=scan.severity if severity is None else Severity(severity),
        database=scan.database if database is None else database,
    )


def _sbom_of(
    word: str, images: Mapping[str, ImageSpec], settings: Settings, say: Say, platform: str | None
) -> tuple[bytes, str, str]:
    """The CycloneDX SBOM of what a word names, the digest it is of, and the family of the image; empty: not ours.

    REPO:TAG is what was built here, else what we published.
    """
    if word in images and (built := load_record(settings.out, word)):
        say(f"{word}: as it was built here")
        digest = find_image(directory_of(settings.out, word), platform, say).digest if built.platforms else built.digest
        (image,) = (item for item in built.images if item.digest == digest)
        return *_make(image, settings, say), images[word].family
    with connect(say) as transport:
        target = find_target(word, images, settings, transport)
        if target.manifest.media_type in INDEXES:
            digest = find_digest(transport, target.reference, platform, say).value
            of_index = target.images(transport).values()
            target = next(item for item in of_index if item.manifest.digest == digest)
        family = _family_of(target, images)
        if (attached := attached_sbom(transport, target)) is not None:
            say(f"{target.digest}: by the SBOM that is attached to it (who made that, `invoke verify` says)")
            return attached, target.manifest.digest, family
    for spec in images.values():
        build = load_record(settings.out, spec.id)
        for image in build.images if build else ():
            if image.digest == target.manifest.digest:
                return *_make(image, settings, say), family
    raise NotScannedError(f"no SBOM is attached to {target.digest}, and it is not built here")


def attached_sbom(transport: Transport, target: Target) -> bytes | None:
    """The CycloneDX SBOM that is attached to an image and says that it is of it; None: there is none."""
    found = [*find_documents(transport, target.digest, CYCLONEDX_TYPE)]
    found += [render_json(item.statement.predicate) for item in find_bundles(transport, target.digest, CYCLONEDX)]
    for content in found:
        try:
            about = json.loads(content)["metadata"]["component"].get("version", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        # Others' tools write the tag, or nothing; a digest has to be the right one.
        if about == target.manifest.digest or not str(about).startswith("sha256:"):
            return content
    return None


def _make(image: Build, settings: Settings, say: Say) -> tuple[bytes, str]:
    origin = Origin(name=image.id, digest=image.digest, epoch=image.epoch, source=settings.source)
    return make_sboms(layout_of(settings.out, image), origin, settings.out, say).cyclonedx, image.digest


def _family_of(target: Target, images: Mapping[str, ImageSpec]) -> str:
    """The family that an image is of, by its tag; empty if nobody knows."""
    name = target.reference.repository.name.rpartition("/")[2]
    tags = {line.tag for line in target.lines} | {getattr(target.reference, "name", "")}
    found = {spec.family for spec in images.values() if spec.repository == name and spec.tag in tags}
    return found.pop() if target.ours and len(found) == 1 else ""
