"""Who may do what in the bucket, in one table, and the two forms in which S3 servers take it.

Listing shows names only, so whoever may list may list all: without it a server answers "forbidden" instead of
"missing" where an object is not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

OPS: Final = "ops"  # the operator's command
ADMIN: Final = "doppel"  # makes the bucket and puts the base model there

_EXPORTS: Final = "workspaces/*/exports/*"
_CORPORA: Final = "workspaces/*/corpora/*"
_DATASETS: Final = "workspaces/*/personas/*/datasets/*"
_RUNS: Final = "workspaces/*/personas/*/runs/*"
_MODELS: Final = "models/*"


@dataclass(frozen=True)
class Rights:
    """Patterns of keys. Who may write may delete."""

    read: tuple[str, ...]
    write: tuple[str, ...] = ()


RIGHTS: Final[Mapping[str, Rights]] = {
    "gateway": Rights(read=("workspaces/*/personas/*/runs/*/report/*",)),
    "scraper": Rights(
        read=(_EXPORTS, _CORPORA, _DATASETS, _MODELS),
        write=(_EXPORTS, _CORPORA, _DATASETS),
    ),
    "trainer": Rights(read=(_DATASETS, _RUNS, _MODELS), write=(_RUNS,)),
    "inference": Rights(read=(_RUNS, _MODELS)),
    OPS: Rights(read=("*",), write=(_EXPORTS,)),
}


def minio_policy(user: str, bucket: str) -> dict[str, Any]:
    """The policy of a user, as MinIO (and AWS) read it."""
    rights, arn = RIGHTS[user], f"arn:aws:s3:::{bucket}"

    def statement(actions: list[str], patterns: tuple[str, ...]) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": [f"{arn}/{each}" for each in patterns]}

    listing = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    statements = [{"Effect": "Allow", "Action": listing, "Resource": [arn]}]
    statements.append(statement(["s3:GetObject"], rights.read))
    if rights.write:
        write = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        statements.append(statement(write, rights.write))
    return {"Version": "2012-10-17", "Statement": statements}


def seaweed_identities(secrets: Mapping[str, str], bucket: str) -> str:
    """SeaweedFS' identities as JSON: `secrets` has one secret key per user, and the administrator's."""

    def identity(name: str, actions: list[str]) -> dict[str, Any]:
        return {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": secrets[name]}],
            "actions": actions,
        }

    def actions(rights: Rights) -> list[str]:
        reads = [f"Read:{bucket}/{pattern}" for pattern in rights.read]
        writes = [f"Write:{bucket}/{pattern}" for pattern in rights.write]
        return [f"List:{bucket}", *reads, *writes]

    found = [identity(ADMIN, ["Admin"])]
    found += [identity(user, actions(rights)) for user, rights in RIGHTS.items()]
    return json.dumps({"identities": found}, indent=1)
