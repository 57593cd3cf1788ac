"""Work that forks share: its order, and how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from tiphys.lint.forks import forks_for

HEAD = """
import os, signal
from tiphys.lint.forks import by_forks, forks_for

def answers(*given):
    with by_forks(*given) as found:
        return list(found)

"""


def ask(code: str) -> str:
    code = f"{HEAD}{code}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_order_is_that_of_the_numbers() -> None:
    assert ask("print(answers(lambda number: number**2, 10, 3))").strip() == str([n**2 for n in range(10)])
    assert ask("print(len({*answers(lambda number: os.getpid(), 10, 3)} - {os.getpid()}))").strip() == "3"


def test_large_answers_come_whole() -> None:
    assert ask("print(sum(map(len, answers(lambda number: 'x' * 300_000, 9, 2))))").strip() == "2700000"


def test_who_stops_asking_leaves_none_behind() -> None:
    code = """
with by_forks(lambda number: os.getpid() if number < 2 else signal.pause(), 9, 2) as found:
    forks = [next(found), next(found)]
for fork in forks:
    try:
        os.kill(fork, 0)
    except ProcessLookupError:
        print("gone")
"""
    assert ask(code).split() == ["gone", "gone"]


def test_they_begin_before_anybody_asks() -> None:
    code = """
reading, writing = os.pipe()
with by_forks(lambda number: os.write(writing, b"x"), 2, 2) as found:
    os.read(reading, 1)
    print(len(list(found)))
"""
    assert ask(code).strip() == "2"


def test_they_end_when_who_began_them_is_killed() -> None:
    code = """
import os, signal
from tiphys.lint.forks import by_forks
def work(number):
    os.write(1, b"begun\\n")
    return "x" * 1_000_000
with by_forks(work, 100, 3) as found:
    next(found)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == [b"begun\n"] * 3
        process.kill()
        process.stdout.read()  # to its end, which comes when the last of them has ended


def test_one_that_fails_says_what_became_of_it() -> None:
    code = """
from tiphys.errors import RunError
for work in (lambda number: 1 / number, lambda number: os._exit(3)):
    try:
        print(answers(work, 2, 2))
    except RunError as error:
        print(error.code, error.message)
"""
    assert (
        ask(code).splitlines()
        == ["TIP305 a process that had a part of the files ended before it was done"] * 2
    )


def test_there_are_as_many_as_pay_and_as_there_are_cores() -> None:
    code = """
os.sched_getaffinity = lambda process: {1, 2, 4, 7}
print(*(forks_for(count) for count in (0, 1, 39, 40, 70, 1000)))
"""
    assert ask(code).split() == ["1", "1", "1", "2", "3", "4"]


def test_there_are_none_where_threads_run() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert len(os.listdir("/proc/self/task")) > 1
        assert forks_for(1_000_000) == 1
    finally:
        end.set()
        thread.join()


def test_where_nobody_tells_of_threads_there_is_one() -> None:
    code = "os.path.isdir = lambda path: False  # as on macOS\nprint(forks_for(1_000_000))"
    assert ask(code).strip() == "1"


def test_an_interrupt_while_they_begin_leaves_none_behind() -> None:
    """It comes when the last fork is there and this process has not heard of it yet."""
    code = """
import time

real, made = os.fork, []

def fork():
    process = real()
    if process:
        made.append(process)
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
    return process

os.fork = fork
try:
    answers(lambda number: signal.pause(), 9, 3)
except KeyboardInterrupt:
    print("interrupted")
for process in made:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        print("gone")
    else:
        os.kill(process, signal.SIGKILL)
assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    assert ask(code).split() == ["interrupted", *["gone"] * 3]


def test_forks_are_interrupted_as_others_are() -> None:
    code = "print(answers(lambda number: len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), 3, 3))"
    assert ask(code).strip() == "[0, 0, 0]"
