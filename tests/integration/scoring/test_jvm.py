"""How the JVM lives in a process: started once, leaving signals, threads and the way out to Python."""

import subprocess
import sys
import textwrap
import threading

import jpype

from api.scoring.jvm import attach_thread, h2o_jar, is_running, start_jvm


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )


def test_starting_twice_from_many_threads_is_one_jvm() -> None:
    ended = run(
        """
        import threading
        from api.scoring.jvm import is_running, start_jvm
        assert not is_running()
        threads = [threading.Thread(target=start_jvm, args=(64,)) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        start_jvm(512)
        import jpype
        assert is_running()
        print(jpype.java.lang.Runtime.getRuntime().maxMemory() >> 20)
        """
    )
    assert ended.returncode == 0, ended.stderr
    assert 32 < int(ended.stdout) <= 64


def test_signals_stay_pythons_and_a_busy_daemon_thread_does_not_hold_the_exit() -> None:
    ended = run(
        """
        import os, signal, threading, time
        from api.scoring.jvm import start_jvm
        start_jvm()
        import jpype
        signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM"))
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            print("SIGINT")
        busy = threading.Thread(target=jpype.java.lang.Thread.sleep, args=(3_600_000,), daemon=True)
        busy.start()
        time.sleep(0.2)
        print("done")
        """
    )
    assert (ended.stdout.split(), ended.returncode) == (["SIGTERM", "SIGINT", "done"], 0), ended.stderr


def test_threads_that_end_leave_the_jvm() -> None:
    start_jvm()
    assert is_running()
    java_threads = jpype.java.lang.Thread.activeCount
    before = java_threads()  # other tests of this process have threads of their own

    def work() -> None:
        attach_thread()
        java_threads()

    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert java_threads() - before < 40


def test_other_python_threads_run_while_java_works() -> None:
    start_jvm()
    turns = 0
    stop = threading.Event()

    def count() -> None:
        nonlocal turns
        while not stop.is_set():
            turns += 1

    counting = threading.Thread(target=count)
    counting.start()
    jpype.java.lang.Thread.sleep(300)
    during = turns
    stop.set()
    counting.join()
    assert during > 100


def test_the_jar_is_found_without_importing_h2o() -> None:
    ended = run(
        """
        import sys
        from api.scoring import archive, features, jvm, mojo, probe
        jvm.start_jvm()
        print(sorted({"h2o", "pandas", "polars", "prefect", "pyarrow"} & set(sys.modules)))
        """
    )
    assert ended.stdout.strip() == "[]", ended.stderr
    assert h2o_jar().name == "h2o.jar"
