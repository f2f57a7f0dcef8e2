"""Writes what is inside the binary as CycloneDX 1.5 JSON, from Cargo's own resolution.

    python3 packaging/sbom.py > ergane.cdx.json

Build scripts and macros are part of the list, since they run on the machine that builds; what only
tests need is not.
"""

import json
import re
import subprocess


def main():
    command = ["cargo", "metadata", "--locked", "--format-version", "1",
               "--filter-platform", "x86_64-unknown-linux-musl"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    needed = reached_from(root, nodes)
    ours = packages[root]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(ours) | {"type": "application"}},
        "components": [component(packages[one]) for one in sorted(needed - {root})],
        "dependencies": [
            {"ref": reference(packages[one]),
             "dependsOn": sorted(reference(packages[other]) for other in direct(nodes[one]) & needed)}
            for one in sorted(needed)
        ],
    }
    print(json.dumps(document, indent=1))


def reached_from(root, nodes):
    reached, ahead = set(), [root]
    while ahead:
        one = ahead.pop()
        if one not in reached:
            reached.add(one)
            ahead.extend(direct(nodes[one]))
    return reached


def direct(node):
    """What a package needs to be built and run, and not only to be tested."""
    is_needed = lambda dependency: any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
    return {dependency["pkg"] for dependency in node["deps"] if is_needed(dependency)}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    entry = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("license"):
        entry["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    return entry


if __name__ == "__main__":
    main()
