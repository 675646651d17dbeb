"""docs/reference/commands.md: every command's own help text, as Markdown."""

from collections.abc import Iterator

import click

from doppel.cli.root import cli


def commands_page(note: str) -> str:
    """One section per command. `note` says where the page comes from."""
    sections = [_section(path, command) for path, command in _walk("doppel", cli)]
    return "\n".join(["# Commands\n", f"{note}\n", *sections])


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            yield from _walk(f"{path} {name}", child)


def _section(path: str, command: click.Command) -> str:
    arguments = [
        p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)
    ]
    lines = [f"## `{' '.join([path, *arguments])}`\n", f"{command.help or ''}\n"]
    options = [p for p in command.params if isinstance(p, click.Option)]
    if options:
        lines += ["| option | default | what |", "|---|---|---|"]
        lines += [f"| `{_names(option)}` | {_default(option)} | {option.help or ''} |" for option in options]
        lines.append("")
    return "\n".join(lines)


def _names(option: click.Option) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag or not option.metavar else f"{names} {option.metavar}"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    return f"`{option.default}`" if option.show_default and option.default is not None else ""
