"""How a command is made: the options that all have in common, its help with an example, its output.

The options are those that every command of ``az ml`` has (learn.microsoft.com/cli/azure/ml/job).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from mlops_dagster.cli import azure_only
from mlops_dagster.cli.completion import names_of
from mlops_dagster.cli.formats import Format, parse_query, print_data, query_result
from mlops_dagster.cli.output import note
from mlops_dagster.cli.session import session
from mlops_dagster.errors import InvalidRequest, Unsupported

_Command = TypeVar("_Command", bound=Callable[..., None])

_OUTPUT: dict[str, Any] = {
    "output": Annotated[
        Format | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORM",
            envvar="AZURE_CORE_OUTPUT",
            show_envvar=False,
            help=f"{', '.join(Format)}; by default a table.",
        ),
    ],
    "query": Annotated[
        str | None,
        typer.Option("--query", metavar="JMESPATH", help="Print only what this query chooses."),
    ],
}
# Options of `az` that have no effect here, accepted so that its lines work.
_IGNORED: dict[str, Any] = {
    name: Annotated[type_, typer.Option(*spellings, hidden=True, help="Has no effect here.")]
    for name, type_, spellings in (
        ("resource_group", str | None, ("--resource-group", "-g")),
        ("workspace_name", str | None, ("--workspace-name", "-w")),
        ("subscription", str | None, ("--subscription",)),
        ("only_show_errors", bool, ("--only-show-errors",)),
        ("verbose", bool, ("--verbose",)),
        ("debug", bool, ("--debug",)),
        ("no_wait", bool, ("--no-wait",)),
        ("yes", bool, ("--yes", "-y")),
    )
}
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
# Options that take several values, one after the other.
_SEVERAL = ("--set", "--tags")
_PLACES = ("resource_group", "workspace_name", "subscription")


def group(purpose: str) -> typer.Typer:
    """The commands of one noun, such as ``mlops job``."""
    return typer.Typer(cls=Group, help=purpose, no_args_is_help=True)


def command(
    app: typer.Typer,
    name: str,
    *,
    example: str,
    named: str | None = None,
    purpose: str | None = None,
    prints_data: bool = True,
) -> Callable[[_Command], _Command]:
    """Make a function a command.

    Args:
        example: one line that works.
        named: what the function's parameter ``name`` is the name of, such as ``job``. It may then
            be given alone (``show NAME``) or as an option (``show --name NAME``, ``-n NAME``).
        purpose: what it does, instead of the function's docstring.
        prints_data: whether it calls ``show``, and so takes ``--output`` and ``--query``.
    """

    def register(function: _Command) -> _Command:
        full = _with_options(function, named=named, prints_data=prints_data)
        app.command(name, cls=Command, epilog=example, help=purpose)(full)
        return function

    return register


def show(context: typer.Context, value: Any, table: Callable[[], object]) -> None:
    """Print a value in the form that was asked for.

    Args:
        value: what programs get, and what ``--query`` chooses from.
        table: prints it for people.
    """
    chosen = session(context)
    if chosen.prints_table:
        table()
        return
    if chosen.query is not None:
        value = query_result(parse_query(chosen.query), value)
    print_data(value, chosen.form)


class Command(TyperCommand):
    """A command whose help ends with an example."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for word in args:
            option = word.partition("=")[0]
            if reason := azure_only.OPTIONS.get(option):
                raise Unsupported(f"{option} is not for this machine.", remedy=reason)
        return super().parse_args(ctx, repeat_options(args))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as the base class
        if self.epilog:
            with formatter.section("Example"):
                formatter.write(f"  {self.epilog}\n")


class Group(TyperGroup):
    """A group of commands; help says of each what it does, in full."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, (each.help or "").partition("\n\n")[0]) for name, each in commands if each]
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args and args[0] not in self.commands:
            path = " ".join([*ctx.command_path.split()[1:], args[0]])
            if reason := azure_only.COMMANDS.get(path):
                raise Unsupported(f"There is no `mlops {path}`.", remedy=reason)
        return super().resolve_command(ctx, args)


def _with_options(
    function: _Command, *, named: str | None, prints_data: bool
) -> Callable[..., None]:
    """The function with the common options as parameters, which it does not get to see itself."""
    signature = inspect.signature(function, eval_str=True)
    takes_context = "context" in signature.parameters
    added = {**(_OUTPUT if prints_data else {}), **_IGNORED}
    parameters = {"context": _CONTEXT, **signature.parameters}
    if named is not None:
        argument, added["name_option"] = _name_parameters(named)
        parameters["name"] = parameters["name"].replace(annotation=argument, default=None)
    for name, annotation in added.items():
        default = False if annotation.__origin__ is bool else None
        parameters[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
        )

    @functools.wraps(function)
    def call(**given: Any) -> None:
        context: typer.Context = given["context"] if takes_context else given.pop("context")
        common = {name: given.pop(name) for name in added}
        query = common.get("query")
        context.obj = replace(session(context), output=common.get("output"), query=query)
        if query is not None:
            parse_query(query)  # a wrong one is refused before anything is done
        if named is not None:
            given["name"] = _one_name(named, given["name"], common["name_option"])
        if any(common[name] is not None for name in _PLACES):
            note(
                "--resource-group, --workspace-name and --subscription have no effect: the "
                f"workspace is {session(context).chosen!r}."
            )
        function(**given)

    keyword_only = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()
    ]
    call.__signature__ = signature.replace(parameters=keyword_only)  # type: ignore[attr-defined]
    return call


def _name_parameters(kind: str) -> tuple[Any, Any]:
    """A name that is given alone, and the same as an option."""
    alone = typer.Argument(
        metavar="NAME",
        help=f"The {kind}'s name.",
        show_default=False,
        autocompletion=names_of(kind),
    )
    option = typer.Option(
        "--name", "-n", metavar="NAME", help="The same as NAME.", autocompletion=names_of(kind)
    )
    return Annotated[str | None, alone], Annotated[str | None, option]


def _one_name(kind: str, argument: str | None, option: str | None) -> str:
    if argument is not None and option is not None:
        raise InvalidRequest(
            f"The {kind} is named twice: {argument!r} and --name {option!r}.",
            remedy="Leave one out.",
        )
    name = argument if argument is not None else option
    if name is None:
        raise InvalidRequest(f"Which {kind}? Its name is missing.", remedy="Give it: --name NAME")
    return name


def repeat_options(words: Sequence[str]) -> list[str]:
    """``--set a=1 b=2``, which ``az`` takes, as ``--set a=1 --set b=2``; ``--tags`` alike."""
    every: list[str] = []
    option = ""
    for word in words:
        is_first = bool(option) and every[-1] == option
        if option and not is_first and not word.startswith("-") and "=" in word:
            every.append(option)
        elif not is_first:
            option = word if word in _SEVERAL else ""
        every.append(word)
    return every
