"""Files that are linted alone, by several processes: every byte is the same as of files that are linted together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lint.examples import HEAD
from tiphys.lint import FORMATS

CODE = "import sys, os, signal; from tiphys.lint import alone, forks; from tiphys.cli import main\n"
WORKFLOW = HEAD + "spec:\n  entrypoint: main\n  templates:\n"
TYPO = WORKFLOW + "  - name: main\n    container:\n      image: alpine\n      comand: [date]\n"
TEMPLATE = (
    "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: NAME}\n"
    "spec: {entrypoint: say, templates: [{name: say, suspend: {}}]}\n"
)
CALLS = WORKFLOW + "  - name: main\n    steps: [[{name: say, templateRef: {name: NAME, template: say}}]]\n"
SEMAPHORE = WORKFLOW + (
    "  - name: main\n    suspend: {}\n    synchronization:\n"
    "      semaphores: [{configMapKeyRef: {name: limits, key: KEY}}]\n"
)
LOCKS = WORKFLOW + (
    "  - name: main\n    synchronization: {mutexes: [{name: FIRST}]}\n    steps: [[{name: in, template: in}]]\n"
    "  - name: in\n    synchronization: {mutexes: [{name: SECOND}]}\n    suspend: {}\n"
)
MEMO = WORKFLOW + (
    "  - name: main\n    container: {image: a, command: [b]}\n"
    "    memoize: {key: x, cache: {configMap: {name: limits}}}\n"
)
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {some: nought}\n"

# what stands alone, and what does not: it refers to others, others to it, or a rule compares it with others
FILES = {
    "a-typo": TYPO,
    "b-ignored": TYPO.replace("alpine\n", "alpine  # tiphys: ignore[L352]\n"),
    "c-two": TYPO + "---\n" + TYPO + "---\nkind: [\n",
    "d-calls": CALLS.replace("NAME", "shared"),
    "e-calls-nothing": CALLS.replace("NAME", "shard"),
    "f-shared": TEMPLATE.replace("NAME", "shared"),
    "g-shared-again": TEMPLATE.replace("NAME", "shared") + "---\n" + TYPO,
    "h-refers": HEAD + "spec: {workflowTemplateRef: {name: shared}}\n",
    "i-semaphore": SEMAPHORE.replace("KEY", "some"),
    "j-semaphore": SEMAPHORE.replace("KEY", "none"),
    "k-one-way": LOCKS.replace("FIRST", "a").replace("SECOND", "b"),
    "l-other-way": LOCKS.replace("FIRST", "b").replace("SECOND", "a"),
    "m-memo": MEMO,
    "n-map": MAP,
    "o-misspelt": TYPO.replace("kind: Workflow", "kind: Workflw"),
    "p-no-yaml": "a: [\n",
    "q-nothing": "# nothing\n",
    "r-other": "kind: Service\n",
    "s-json": '{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": {}}',
    "t-escaped": TEMPLATE.replace("NAME", "hidden")
    .replace("WorkflowT", '"Workflow\\x54')
    .replace("plate\n", 'plate"\n'),
    "u-calls-it": CALLS.replace("NAME", "hidden"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        for name, text in FILES.items():
            (tmp_path / f"{name}-{number}.yaml").write_text(text)
    return tmp_path


def command(forks: int, before: str, *arguments: str) -> list[str]:
    code = f"{CODE}forks.forks_for = lambda count: {forks}\n{before}\nsys.exit(main())"
    return [sys.executable, "-c", code, "lint", *arguments]


def lint(folder: Path, forks: int, *arguments: str, before: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        command(forks, before, *arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_the_same(folder: Path, form: str) -> None:
    arguments = (".", "--format", form, "--severity", "info")
    together = lint(folder, 1, *arguments)
    assert together[0] == 1
    assert lint(folder, 3, *arguments) == together


@pytest.mark.parametrize(
    "arguments",
    [
        ("--argo", "4.0", "."),
        ("--select", "L2", "--ignore", "L212", "."),
        (
            "a-typo-1.yaml",
            "f-shared-0.yaml",
            "d-calls-2.yaml",
            "b-ignored-0.yaml",
        ),  # in the order that is given
        ("a-typo-1.yaml", "a-typo-1.yaml", "f-shared-0.yaml", "f-shared-0.yaml"),
        (".", "a-typo-1.yaml"),
        ("q-nothing-0.yaml", "r-other-0.yaml", "a-typo-0.yaml"),
        ("q-nothing-0.yaml", "r-other-0.yaml"),
        ("s-json-0.yaml", "missing.yaml", "a-typo-0.yaml"),
    ],
)
def test_so_are_places_choices_and_exit_codes(folder: Path, arguments: tuple[str, ...]) -> None:
    assert lint(folder, 2, *arguments) == lint(folder, 1, *arguments)


def test_a_file_that_cannot_be_read_is_told_and_the_other_sources_are_linted(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "good.yaml").write_text(TYPO)
    (folder / "a-typo-1.yaml").write_bytes(b"kind: \xff\n")
    together = lint(folder, 1, "more", "d-calls-0.yaml", ".")
    assert (together[0], "TIP202" in together[2]) == (2, True)
    assert lint(folder, 3, "more", "d-calls-0.yaml", ".") == together


def test_who_stands_alone(folder: Path) -> None:
    show = "print(*sorted(alone.lint_shared(sys.argv[2:], '4.1').alone))\nsys.exit()"
    names = sorted(path.name for path in folder.glob("*-0.yaml"))
    assert lint(folder, 4, *names, before=show)[1].split() == [
        f"{name}-0.yaml" for name in ("a-typo", "b-ignored", "c-two", "s-json")
    ]
    assert (
        lint(folder, 4, *names, names[0], before=show)[1].split() == []
    )  # twice: the second is another object


_FIRST = ("a-typo", "m-memo", "f-shared", "n-map", "s-json", "k-one-way", "l-other-way", "i-semaphore")
WORDED = [f"{name}-{number}.yaml" for number in (1, 0) for name in _FIRST]


def test_what_is_no_file_s_own_business_is_found_meanwhile(folder: Path) -> None:
    """Where all that cannot be alone has a word that says so, it is linted once, by who waits for the others."""
    show = "print(len(alone.lint_shared(sys.argv[2:], '4.1').together or ()))\nsys.exit()"
    assert int(lint(folder, 2, *WORDED, before=show)[1]) > 4
    assert int(lint(folder, 2, *WORDED, "d-calls-0.yaml", before=show)[1]) == 0
    for arguments in (
        (*WORDED, "--format", "json"),
        (*WORDED, "d-calls-0.yaml"),
        ("missing.yaml", *WORDED),
    ):
        assert lint(folder, 2, *arguments) == lint(folder, 1, *arguments)


def test_what_goes_wrong_is_told_as_ever(folder: Path) -> None:
    """By the process that was asked, which tries it again."""
    fault = (
        "from tiphys.lint import linter\nreal = linter._finding\n"
        "def finding(entry, issue, workflow, *more):\n"
        "    if workflow and workflow.document.file.endswith('b-ignored-2.yaml'):\n"
        "        raise ZeroDivisionError('in a rule')\n"
        "    return real(entry, issue, workflow, *more)\n"
        "linter._finding = finding"
    )
    for forks in (1, 3):
        code, out, err = lint(folder, forks, ".", before=fault)
        assert (code, out) == (1, "")
        assert err.startswith("tiphys: TIP303: unexpected error: ZeroDivisionError: in a rule\n")
        assert err.count("TIP") == 1


def test_a_process_that_is_killed_is_one_clear_error(folder: Path) -> None:
    fault = (
        "real = alone._alone\n"
        "alone._alone = lambda file, *given: os.kill(os.getpid(), signal.SIGKILL) "
        "if file.endswith('c-two-1.yaml') else real(file, *given)"
    )
    code, out, err = lint(folder, 3, ".", before=fault)
    assert (code, out) == (1, "")
    assert err.startswith("tiphys: TIP305: a process that had a part of the files was ended by SIGKILL")
    assert "Traceback" not in err


def test_an_interrupt_ends_them_all(folder: Path) -> None:
    waits = "alone._alone = lambda file, *given: (os.write(1, b'%d\\n' % os.getpid()), signal.pause())"
    with subprocess.Popen(
        command(3, waits, "."), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        forks = [int(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "tiphys: interrupted\n")
    for fork in forks:
        with pytest.raises(ProcessLookupError):
            os.kill(fork, 0)
