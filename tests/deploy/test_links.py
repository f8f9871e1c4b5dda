"""Links in the documents lead somewhere; commands and settings that they name exist."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.deploy.documents import ROOT, Document, every_document, expect_command
from worker.contract.settings.model import CLIENT_VARIABLES, PREFIX, Settings
from worker.contract.settings.secret_files import SUFFIX

DOCUMENTS = {document.path: document for document in every_document()}
# Whose commands are not only there, but run, and by which test.
RUN = {
    "README.md": "tests/acceptance/test_readme.py",
    "docs/api.md": "tests/acceptance/test_api_guide.py",
    "docs/feedback.md": "tests/api/client/cli/test_main.py",
    "docs/webhooks.md": "tests/worker/webhooks/test_docs.py",
}

every = pytest.mark.parametrize("path", DOCUMENTS)


@every
def test_every_link_leads_to_a_file_and_a_heading(path: str) -> None:
    document = DOCUMENTS[path]
    for link in document.links:
        if not link.startswith(("https://", "http://")):
            expect_target(document, link)


def expect_target(document: Document, link: str) -> None:
    name, _, anchor = link.partition("#")
    folder = (ROOT / document.path).parent
    target = (folder / name).resolve() if name else ROOT / document.path
    assert target.exists(), f"{document.path}: {link}"
    if anchor:
        known = Document(os.path.relpath(target, ROOT)).anchors
        assert anchor in known, f"{document.path}: {link}; there are {sorted(known)}"


@every
def test_every_guanwu_command_exists_with_its_options(path: str) -> None:
    for words in DOCUMENTS[path].guanwu_commands:
        expect_command(words)


@every
def test_every_setting_exists(path: str) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9](?!_?\*|\w)", DOCUMENTS[path].text))
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    files = {name + SUFFIX for name in settings}
    assert named <= settings | files | CLIENT_VARIABLES


@every
def test_every_shell_block_is_sound_shell(path: str) -> None:
    for block in DOCUMENTS[path].blocks:
        checked = subprocess.run(
            ["bash", "-n", "-c", block], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, f"{block}\n{checked.stderr}"


@pytest.mark.parametrize("path", RUN)
def test_guides_are_run_by_a_test_that_reads_them(path: str) -> None:
    text = (ROOT / RUN[path]).read_text()
    assert path in text or all(f'"{part}"' in text for part in path.split("/"))


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in DOCUMENTS:
            continue
        reached.add(path)
        names = (link.partition("#")[0] for link in DOCUMENTS[path].links if ":" not in link)
        waiting += [os.path.normpath(os.path.join(os.path.dirname(path), n)) for n in names if n]
    assert DOCUMENTS.keys() - reached == set()
