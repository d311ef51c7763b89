"""What pyproject.toml cannot say: the wheel holds the workflow too, which lies beside the package.

`python/itemwise/paths.py` finds it. An editable installation uses the clone's own files.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = [
    "Snakefile", "rules", "R", "config", "profiles", "envs", "pyproject.toml", "constraints.txt",
]  # fmt: skip


class BuildWithProject(build_py):
    """Build the package, and put the project into `itemwise/_project`."""

    def run(self):
        """Copy the project as it lies in the clone; R finds the package's tables as there."""
        super().run()
        if self.editable_mode:
            return
        project = Path(self.build_lib, "itemwise", "_project")
        shutil.rmtree(project, ignore_errors=True)
        for name in PROJECT:
            source, target = Path(name), project / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, target)
        for table in Path("python/itemwise").rglob("*.csv"):
            (project / table).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(table, project / table)


setup(cmdclass={"build_py": BuildWithProject})
