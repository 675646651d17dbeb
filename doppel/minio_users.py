"""One user per service in MinIO, through its own administration API: other S3 servers have other ways."""

import asyncio
from collections.abc import Mapping
from typing import Final

import urllib3
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin

from doppel.bucket_access import minio_policy
from doppel.settings import SettingsError, StorageSettings

CALL_S: Final = 10.0
ALL_S: Final = 120.0


async def make_users(settings: StorageSettings, secret_keys: Mapping[str, str]) -> None:
    """Make them, or bring their keys and rights up to date. `settings` are the administrator's.

    Raises SettingsError where the server has no such API or refuses us, urllib3's errors where it is away.
    """
    admin = MinioAdmin(
        endpoint=settings.s3_endpoint,
        credentials=StaticProvider(settings.s3_access_key, settings.s3_secret_key.get_secret_value()),
        region=settings.s3_region,
        secure=settings.s3_secure,
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=2, read=CALL_S), retries=urllib3.Retry(total=0)
        ),
    )

    def make() -> None:
        for user, secret_key in secret_keys.items():
            policy = f"doppel-{user}"
            admin.policy_add(policy, policy=minio_policy(user, settings.s3_bucket))  # pyright: ignore[reportUnknownMemberType]
            admin.user_add(user, secret_key)
            admin.policy_set(policy, user=user)

    try:
        async with asyncio.timeout(ALL_S):
            await asyncio.to_thread(make)
    except MinioAdminException as error:
        raise SettingsError(
            f"{settings.s3_endpoint} does not let us make users. DOPPEL_S3_USERS=minio needs MinIO and its root "
            "user; with another S3 server make them there, and set DOPPEL_S3_USERS=none."
        ) from error
