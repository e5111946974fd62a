"""Which distributions are in a folder, one a line: name, version, licence.

python3 contents.py FOLDER
"""

import sys
from importlib.metadata import distributions

for found in sorted(distributions(path=[sys.argv[1]]), key=lambda one: one.name.lower()):
    said = found.metadata
    by_class = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier", []) if line.startswith("License :: ")]
    if found.name != "humbug-agent":
        print(f"  {found.name} {found.version}: {said['License-Expression'] or ', '.join(by_class) or said['License']}")
