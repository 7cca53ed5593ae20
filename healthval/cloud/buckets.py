"""Buckets of a deployment: the private one for code, and emptying with all versions."""

from collections.abc import Iterable
from typing import Any

from healthval.errors import DeploymentError, counted

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def make_private(s3: Any, bucket: str, region: str) -> None:
    """Create a bucket without public access, unless the account has it."""
    if not has_bucket(s3, bucket):
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else place))
        blocked = dict.fromkeys(_BLOCKS, True)
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocked)


def has_bucket(s3: Any, bucket: str) -> bool:
    """Return whether the account has this bucket."""
    pages = s3.get_paginator("list_buckets").paginate()
    return any(found["Name"] == bucket for page in pages for found in page.get("Buckets", ()))


def empty(s3: Any, bucket: str) -> None:
    """Delete all objects of a bucket with their versions; a bucket that is missing is empty.

    Raises
    ------
    DeploymentError
        If objects remain; gives their number.
    """
    if not has_bucket(s3, bucket):
        return
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    n_kept = sum(_delete(s3, bucket, page) for page in pages)
    if n_kept:
        raise DeploymentError(
            f"AWS keeps {counted(n_kept, 'object')} of the bucket {bucket}; check that its policy and"
            " your role permit s3:DeleteObjectVersion, and repeat the command"
        )


def _delete(s3: Any, bucket: str, page: Any) -> int:
    found: Iterable[Any] = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
    keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
    if not keys:
        return 0
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    return len(answer.get("Errors", ()))
