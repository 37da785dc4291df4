"""Values in commands, read back from what a real bash made of them."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from functools import partial

import pytest

from mlops_dagster.aml.bindings import Binding, render
from mlops_dagster.errors import InvalidRequest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash runs the commands")

# `show` prints its arguments, each ended by NUL, and `|` after the last.
SHOW = "show() { printf '%s\\0' \"$@\" '|'; }\n"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/h", "LC_ALL": "C.UTF-8"}
PIECES = [
    "'", '"', "\\", "$", "`", "(", ")", "{", "}", " ", "\n", "a", "1", "#", ";", "|", "&", "<", ">",
    "*", "?", "~", "!", "=", ",", "é", "$(echo HACKED)", "`echo HACKED`", "${HOME}", "EOF", "..",
    "[", "]", "-", "\t", "$'", "case", "]]", "))",
]  # fmt: skip
NASTY = ["", "plain", "two words", "'; echo HACKED; '", '"; echo HACKED; "', "$(echo HACKED)",
         "`echo HACKED`", "\\", "\\'", "(echo HACKED)", "EOF", "a\nb", "-n", "--", "*", "~", "done",
         "A=1", "2", "{a,b}", "#x"]  # fmt: skip


def nasty_values(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    drawn = ["".join(draw.choices(PIECES, k=draw.randint(1, 6))) for _ in range(count)]
    return NASTY + drawn


Arguments = Callable[[str], list[str]]

# A command around X, which stands for the input, and the arguments that `show` must see.
CONSTRUCTS: dict[str, Arguments] = {
    "show X": lambda x: [x],
    'show "X"': lambda x: [x],
    "show 'X'": lambda x: [x],
    "show aXb": lambda x: [f"a{x}b"],
    "show XX": lambda x: [x + x],
    "show X=1": lambda x: [f"{x}=1"],
    "show --x=X -- X": lambda x: [f"--x={x}", "--", x],
    'show "a X $HOME X"': lambda x: [f"a {x} /h {x}"],
    "show \"it's X\"": lambda x: [f"it's {x}"],
    "show 'a \"X\" b'": lambda x: [f'a "{x}" b'],
    "show $'\\tX'": lambda x: [f"\t{x}"],
    "show \\X": lambda x: [x],
    'show "\\X"': lambda x: [f"\\{x}"],
    "show $X": lambda x: [f"${x}"],
    'show "$X"': lambda x: [f"${x}"],
    "show $HOMEX": lambda x: [f"/h{x}"],
    'show "$HOMEX"': lambda x: [f"/h{x}"],
    'show "$(printf %s. X)"': lambda x: [f"{x}."],
    'show "$(printf %s. "X")"': lambda x: [f"{x}."],
    "show \"$(printf %s. 'X')\"": lambda x: [f"{x}."],
    'show "$(printf %s. "$(printf %s X)")"': lambda x: [f"{x}." if x[-1:] != "\n" else "?"],
    'x=`printf %s. X`; show "$x"': lambda x: [f"{x}."],
    'x=`printf %s. "X"`; show "$x"': lambda x: [f"{x}."],
    "x=`printf %s. 'X'`; show \"$x\"": lambda x: [f"{x}."],
    'show "`printf %s. X`"': lambda x: [f"{x}."],
    "show \"`printf %s. 'X'`\"": lambda x: [f"{x}."],
    "show a # X ' \" `\nshow b": lambda x: ["a", "|", "b"],
    "show a#X": lambda x: [f"a#{x}"],
    'show "$(cat <<EOF\nX.\nEOF\n)"': lambda x: [f"{x}."],
    "show \"$(cat <<'EOF'\nX.\nEOF\n)\"": lambda x: [f"{x}."],
    "cat <<EOF >/dev/null; show 1\n$(printf %s X) X it's \"\nEOF\nshow X": lambda x: ["1", "|", x],
    "cat <<-E\\OF >/dev/null\n\tX. '\n\tEOF\nshow X": lambda x: [x],
    "cat <<<X >/dev/null; show X": lambda x: [x],
    'x=X; show "$x"': lambda x: [x],
    "x=(X b); show \"${x[0]}\"": lambda x: [x],
    "V=X bash -c 'printf \"%s\\0\" \"$V\"'": lambda x: [x],
    "show a && (show X) | cat": lambda x: ["a", "|", x],
    "if true; then show \\\n  X; fi": lambda x: [x],
    "{ show X; } 2>&1": lambda x: [x],
    'f() { show "$@"; }; f X': lambda x: [x],
    "case a in a) show X;; esac": lambda x: [x],
    "show $((1 + 1)) X": lambda x: ["2", x],
    "show $((1 << 2)) X": lambda x: ["4", x],
    "show ${HOME#'/'} X": lambda x: ["h", x],
    "for i in 1 2; do show X; done": lambda x: [x, "|", x],
    "[[ -n aX ]] && show X": lambda x: [x],
    "show $[[--opt X]] z": lambda x: ["--opt", x, "z"],
}  # fmt: skip


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_bash_sees_a_value_as_one_argument_wherever_it_stands(construct: str) -> None:
    template = construct.replace("X", "${{inputs.x}}")
    script, expected = [SHOW], []
    for value in nasty_values(seed=len(construct), count=40):
        wanted = CONSTRUCTS[construct](value)
        if wanted == ["?"]:
            continue  # command substitution takes line feeds off the end
        try:
            command = render(template, partial(answer, value))
        except InvalidRequest:
            continue  # refused, which is safe as well; the test below says where
        script.append(f"{command}\nshow END\n")
        expected.append((value, wanted))

    seen = run("".join(script))

    assert len(expected) > 20
    for (value, wanted), got in zip(expected, seen.split("END\0|\0"), strict=False):
        assert [part for part in got.split("\0")[:-1] if part != "|" or "|" in wanted] == (
            [*wanted, "|"] if "|" in wanted else wanted
        ), f"{value!r} in {construct!r}"
    assert seen.count("END\0|\0") >= len(expected)


@pytest.mark.parametrize(
    "command",
    [
        "echo $(( ${{inputs.x}} + 1 ))",
        "(( ${{inputs.x}} > 1 )) && echo yes",
        'echo "${HOME:-${{inputs.x}}}"',
        "echo `echo \\`echo ${{inputs.x}}\\``",
        'echo "$(case a in a) echo ${{inputs.x}};; esac)"',
    ],
)
def test_where_no_quoting_is_safe_only_a_plain_word_is_let_through(command: str) -> None:
    assert "12" in render(command, lambda _: "12")
    with pytest.raises(InvalidRequest, match="cannot be put safely"):
        render(command, lambda _: "a[$(echo HACKED)]")


@pytest.mark.parametrize("value", ["EOF", "a\nEOF\necho HACKED", "EOF\n"])
def test_a_value_cannot_end_the_here_document_that_it_stands_in(value: str) -> None:
    for command in ("cat <<EOF\n${{inputs.x}}\nEOF\n", "cat <<'EOF'\n${{inputs.x}}\nEOF\n"):
        with pytest.raises(InvalidRequest, match="here-document"):
            render(command, lambda _: value)


@pytest.mark.parametrize(
    "command",
    [
        "[[ ${{inputs.x}} -eq 1 ]]",
        "printf -v ${{inputs.x}} 1",
        "eval echo ${{inputs.x}}",
        'bash -c "echo ${{inputs.x}}"',
    ],
)
def test_what_is_evaluated_once_more_is_out_of_reach(command: str) -> None:
    """As the documentation says: whoever quotes better here is to say so there."""
    ran = run(render(command, lambda _: "a[$(echo HACKED >&3)]"), descriptor=3)
    assert "HACKED" in ran


def test_a_value_with_a_nul_character_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="NUL"):
        render("echo ${{inputs.x}}", lambda _: "a\0b")


def answer(value: str, _: Binding) -> str:
    return value


def run(script: str, descriptor: int = 1) -> str:
    """What bash prints to a descriptor."""
    opened = f"exec {descriptor}>&1 1>/dev/null\n" if descriptor != 1 else ""
    ran = subprocess.run(
        ["bash", "-s"],
        input=(opened + script).encode(),
        capture_output=True,
        env=ENVIRONMENT,
        check=False,
    )
    return ran.stdout.decode()
