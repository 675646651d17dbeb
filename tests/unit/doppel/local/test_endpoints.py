"""``endpoints.json``"""

from pathlib import Path

from doppel.local import endpoints
from doppel.local.endpoints import Endpoints, S3Endpoint
from doppel.local.files import last_lines, write_private

FOUND = Endpoints(
    base_model="tiny",
    nats_url="nats://doppel:secret@127.0.0.1:1",
    nats_monitor_url="http://127.0.0.1:2",
    postgres_dsn="postgresql://postgres:secret@127.0.0.1:3/doppel",
    postgres_dsns={"reader": "postgresql://reader:secret@127.0.0.1:3/doppel"},
    s3=S3Endpoint(endpoint="127.0.0.1:4", access_key="doppel", secret_key="secret", bucket="doppel"),
    gateway_url="http://127.0.0.1:5",
    gateway_urls=["http://127.0.0.1:5", "http://127.0.0.1:6"],
    playground_url="http://127.0.0.1:7",
    signing_secret="secret",
    pids={"gateway-1": 8},
)


def test_what_is_written_is_read_and_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    endpoints.write(path, FOUND)
    assert endpoints.read(path) == FOUND
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_in_its_repr() -> None:
    assert "secret@" not in repr(FOUND)
    assert "'secret'" not in repr(FOUND)


def test_no_file_or_half_a_file_is_no_stack(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    assert endpoints.read(path) is None
    path.write_text('{"ready": true')
    assert endpoints.read(path) is None


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "first")
    write_private(path, "second")
    assert path.read_text() == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{number}\n" for number in range(50)))
    assert last_lines(path, 3) == ["47", "48", "49"]
    assert last_lines(tmp_path / "none") == []
