"""Looks up the pinned packages among the advisories of the Python Package Index; exit code 1: one is vulnerable.

    python .ci/audit.py PIP_AUDIT CONSTRAINTS

Where advisories cannot be reached the packages count as not looked up, which is no failure: a change cannot mend it.
"""

import json
import subprocess
import sys


def main(pip_audit: str, constraints: str) -> int:
    """Prints what was found; returns the exit code."""
    command = [pip_audit, "-r", constraints, "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"audit: the advisories cannot be reached ({type(error).__name__}); nothing was looked up")
        return 0
    found = [package for package in packages if "vulns" in package]
    vulnerable = [package for package in found if package["vulns"]]
    print(f"audit: {len(found)} of {len(packages)} packages looked up, {len(vulnerable)} with a known vulnerability")
    for package in vulnerable:
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "none yet"
            print(f"  {package['name']} {package['version']}: {one['id']}, mended in {fixed}")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
