"""State: what a stack leaves on disk, and who may read it."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import PortTaken, StackError, StateLocked
from deploy.ports import LOOPBACK, is_free
from deploy.state import ADMIN_GRPC_OFFSET, State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    state.acquire()
    yield state
    state.release()


def test_a_second_stack_on_the_same_directory_is_refused(state: State) -> None:
    with pytest.raises(StateLocked, match=r"another stack .* --state"):
        State(state.directory).acquire()


def test_the_directory_is_free_again_after_the_release(state: State) -> None:
    state.release()
    again = State(state.directory)
    again.acquire()
    again.release()


def test_credentials_are_made_once_and_differ_between_directories(
    state: State, tmp_path: Path
) -> None:
    other = State(tmp_path / "other")
    other.acquire()
    assert state.credentials() == state.credentials()
    assert state.credentials().token != other.credentials().token
    other.release()


def test_only_the_owner_may_read_credentials_and_address(state: State) -> None:
    state.credentials()
    state.publish({"url": "http://127.0.0.1:1", "token": "secret"})
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    for name in ("credentials.json", "stack.json"):
        assert stat.S_IMODE((state.directory / name).stat().st_mode) == 0o600


def test_damaged_credentials_are_an_error_that_names_the_remedy(state: State) -> None:
    (state.directory / "credentials.json").write_text('{"token": ')
    with pytest.raises(StackError, match=r"credentials\.json is damaged; remove it"):
        state.credentials()


def test_ports_stay_the_same_while_they_are_free(state: State) -> None:
    assert state.ports() == state.ports()


def test_all_ports_differ_and_the_admin_port_has_its_grpc_partner(state: State) -> None:
    ports = state.ports()
    every = [*ports.values(), ports["admin"] + ADMIN_GRPC_OFFSET]
    assert len(set(every)) == len(every)
    assert all(is_free(p) for p in every)


def test_a_port_that_was_taken_meanwhile_is_replaced(state: State) -> None:
    before = state.ports()
    with socket.create_server((LOOPBACK, before["api"])):
        after = state.ports()
    assert after["api"] != before["api"]
    assert {k: v for k, v in after.items() if k != "api"} == {
        k: v for k, v in before.items() if k != "api"
    }


def test_a_damaged_list_of_ports_is_made_anew(state: State) -> None:
    (state.directory / "ports.json").write_text(
        json.dumps({"api": "x", "s3": None, "filer": 70000})
    )
    assert all(is_free(p) for p in state.ports().values())


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(state: State) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {taken} is in use; choose another with --port"):
            state.ports(api=taken)


def test_a_stopped_stack_has_no_address(state: State) -> None:
    state.publish({"url": "http://127.0.0.1:1", "token": "secret"})
    state.unpublish()
    state.unpublish()
    assert not (state.directory / "stack.json").exists()
