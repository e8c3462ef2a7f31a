"""How long `--help` takes, beside rss2email's `r2e --help`; part of `make bench`."""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

RUNS = 15


def _install(package: str, program: str, folder: Path) -> Path | None:
    """The program, in an environment of its own; None where the package index does not give it."""
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq", "install", package]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    return folder / "bin" / program


def _milliseconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    own = Path(sys.executable).with_name("newsletter")
    ours = str(own) if own.exists() else shutil.which("newsletter")
    if ours is None:
        sys.exit("error: newsletter is not installed here: make test, or make demo, installs it")
    with TemporaryDirectory(prefix="newsletter-bench-") as folder:
        programs = {"newsletter --help": [ours, "--help"], "newsletter --version": [ours, "--version"]}
        theirs = _install("rss2email", "r2e", Path(folder) / "r2e")
        if theirs is not None:
            programs["r2e --help"] = [str(theirs), "--help"]
        programs["python -c pass"] = [sys.executable, "-c", "pass"]
        times: dict[str, list[float]] = {name: [] for name in programs}
        for command in programs.values():
            _milliseconds(command)
        for _ in range(RUNS):
            for name, command in programs.items():
                times[name].append(_milliseconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'start-up, median of ' + str(RUNS):<34} {'ms':>10} {'beside r2e':>14}")
    for name, value in medians.items():
        ratio = f"{value / medians['r2e --help']:>13.2f}x" if "r2e --help" in medians else f"{'':>14}"
        print(f"{name:<34} {value:>10.0f} {ratio}")
    if theirs is None:
        print("rss2email could not be installed here, so there is nothing to compare with")


if __name__ == "__main__":
    main()
