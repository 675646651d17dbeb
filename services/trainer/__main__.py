"""``python -m services.trainer``: serve `train.request` until SIGTERM."""

from doppel.lifecycle import Lifecycle, run
from services.trainer.app import serve
from services.trainer.settings import TrainerSettings


def main() -> int:
    """Read settings, serve, drain."""
    settings: list[TrainerSettings] = []

    def read() -> TrainerSettings:
        settings.append(TrainerSettings.read())
        return settings[0]

    async def service(lifecycle: Lifecycle) -> None:
        await serve(lifecycle, settings[0])

    return run("trainer", read, service)


if __name__ == "__main__":
    raise SystemExit(main())
