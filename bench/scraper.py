"""make bench-scraper   (ARGS="--scale 600 --messages 500000" for a quick look)

Reading a history: an export beside merely inflating and parsing it, Slack's API beside the bound that its limits imply
and beside a reader that goes one call at a time. Everything is synthetic and runs on loopback.
"""

import sys

from bench import scraper_api, scraper_export
from bench.report import Figures, finish, parser


def main() -> int:
    """Run both parts; the last line printed is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--messages", type=int, default=5_000_000, help="of the large generated export")
    arguments.add_argument("--small", type=int, default=500_000, help="of the small one")
    arguments.add_argument(
        "--scale", type=float, default=60.0, help="how many times faster than Slack's the clock runs"
    )
    arguments.add_argument("--only", choices=("export", "api"), help="one of the two parts")
    args = arguments.parse_args()
    figures = Figures()
    if args.only != "api":
        figures.join(scraper_export.run(args.messages, args.small))
    if args.only != "export":
        figures.join(scraper_api.run(args.scale))
    return finish(figures, "scraper")


if __name__ == "__main__":
    sys.exit(main())
