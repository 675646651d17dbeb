"""Who shall stop: also runs that nobody holds at the moment, or that have not begun."""

from dataclasses import dataclass
from uuid import UUID

from doppel.database import Database


@dataclass(frozen=True)
class Cancels:
    """Table ``cancels``."""

    database: Database

    async def ask_to_stop(self, run_id: UUID) -> None:
        """Write the wish down. Requests live for 30 days; what is older can't come any more."""
        await self.database.execute(
            """with gone as (delete from trainer.cancels where asked_at < now() - interval '30 days')
               insert into trainer.cancels (run_id) values ($1) on conflict do nothing""",
            run_id,
        )

    async def is_asked_to_stop(self, run_id: UUID) -> bool:
        """Whether somebody has asked."""
        return bool(
            await self.database.fetchval(
                "select exists (select from trainer.cancels where run_id = $1)", run_id
            )
        )
