"""S3 from a wheel: SeaweedFS in its one-process form. It reports to its maker unless told not to."""

from typing import Final

from doppel.bucket_access import seaweed_identities
from doppel.local.child import Child, answers
from doppel.local.files import write_private
from doppel.local.home import Home, Ports, Secrets
from doppel.local.programs import program
from doppel.local.settings import inherited

BUCKET: Final = "doppel"
_PARTS: Final = ("s3", "master", "volume", "filer", "admin")


def arguments(home: Home, ports: Ports, identities: str) -> tuple[str, ...]:
    """Ten ports and two sockets, each set: one left alone is a fixed port, or a file in /tmp."""
    data = home.data.resolve() / "s3"
    listen = [f"-{part}.port={ports.pick(part)}" for part in _PARTS]
    listen += [f"-{part}.port.grpc={ports.pick(f'{part}-grpc')}" for part in _PARTS]
    return (
        program("weed"),
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={identities}",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.preStopSeconds=0",
        "-filer.localSocket=f.sock",  # relative: a socket's path may have 107 bytes
        "-s3.localSocket=s.sock",
        *listen,
    )


def child(home: Home, secrets: Secrets, ports: Ports) -> Child:
    """Write who may do what, and say how to start it."""
    identities = home.path.resolve() / "s3.json"
    write_private(identities, seaweed_identities(secrets.s3_keys, BUCKET))
    (home.data / "s3").mkdir(exist_ok=True, mode=0o700)

    async def ready() -> bool:
        return await answers(f"http://{endpoint(ports)}/healthz")

    env = inherited() | {"GOMEMLIMIT": "512MiB"}
    return Child("s3", arguments(home, ports, str(identities)), ready, env=env, cwd=home.data / "s3")


def endpoint(ports: Ports) -> str:
    """host:port of the S3 API."""
    return f"127.0.0.1:{ports.pick('s3')}"
