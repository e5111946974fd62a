"""The programs that vendors' pages show for PHP, run by a real one."""

import os
import shutil
import subprocess

import pytest


def php(script: str, *arguments: str) -> str:
    program = shutil.which("php")
    if not program:
        assert not os.environ.get("HUMBUG_TEST_PHP_REQUIRED"), "no php here; tests/sources/polling/prepare installs it"
        pytest.skip("no php here; tests/sources/polling/prepare installs it")
    done = subprocess.run([program, "-n", "-r", script, *arguments], capture_output=True, text=True, check=True)
    return done.stdout
