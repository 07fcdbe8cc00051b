"""The store of replies: on disk, shared by runs and processes, each reply asked for once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from chat_server import judge_of, verdict_text

from medr3_plugin.errors import JudgeFailure, UserError
from medr3_plugin.llm import store
from medr3_plugin.llm.client import Completion
from medr3_plugin.llm.stats import collected
from medr3_plugin.llm.store import ReplyStore, reply_key

REPLY = Completion("reply", 1, 2)


class Asked:
    """Something to ask, and how often it was."""

    def __init__(self, reply=REPLY, pause=0.0):
        self.times, self.reply, self.pause = 0, reply, pause

    async def __call__(self):
        self.times += 1
        await asyncio.sleep(self.pause)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.fixture
def stores(tmp_path):
    """Two stores on one file."""
    one, two = (ReplyStore(tmp_path / "r.sqlite") for _ in range(2))
    yield one, two
    one.close()
    two.close()


async def test_keeps_replies_over_reopening(tmp_path):
    path = tmp_path / "deep" / "replies.sqlite"
    ask = Asked(Completion("é\ud800", 3, 4, truncated=True))
    for hits in (0, 1):
        replies = ReplyStore(path)
        with collected() as stats:
            found = await replies.once("k", ask)
        assert (found.prompt_tokens, found.completion_tokens, found.truncated) == (3, 4, True)
        assert found.text.startswith("é") and stats.cache_hits == hits
        replies.close()
    assert ask.times == 1


async def test_without_a_file_only_requests_under_way_are_shared():
    replies, ask = ReplyStore(None), Asked(pause=0.01)
    with collected() as stats:
        assert await asyncio.gather(*(replies.once("k", ask) for _ in range(3))) == [REPLY] * 3
    assert (ask.times, stats.shared) == (1, 2)
    await replies.once("k", ask)
    assert ask.times == 2
    replies.close()


async def test_two_stores_on_one_file_ask_once(stores):
    one, two = stores
    asked = [Asked(Completion(f"r{i}"), pause=0.05) for i in range(50)]
    wanted = [each.once(f"k{i}", asked[i]) for i in range(50) for each in (one, two)]
    found = await asyncio.gather(*wanted)
    assert [reply.text for reply in found] == [f"r{i}" for i in range(50) for _ in range(2)]
    assert [ask.times for ask in asked] == [1] * 50


async def test_who_waits_for_a_request_that_fails_asks_itself(stores):
    one, two = stores
    failing, ask = Asked(JudgeFailure("x", kind="timeout"), pause=0.1), Asked()
    first = asyncio.ensure_future(one.once("k", failing))
    await asyncio.sleep(0.03)
    assert await two.once("k", ask) == REPLY
    with pytest.raises(JudgeFailure):
        await first
    assert (failing.times, ask.times) == (1, 1)


async def test_a_cancelled_request_is_claimed_by_nobody(stores):
    one, two = stores
    first = asyncio.ensure_future(one.once("k", Asked(pause=30)))
    await asyncio.sleep(0.1)
    first.cancel()
    assert await asyncio.wait_for(two.once("k", Asked()), 10) == REPLY


def test_a_new_file_that_another_process_is_preparing(tmp_path):
    other = sqlite3.connect(tmp_path / "v.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # SQLite does not wait for this lock to change the journal
    released = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    released.start()
    ReplyStore(tmp_path / "v.sqlite").close()
    released.join()
    other.close()


WORKER = """
import asyncio, sys
from medr3_plugin.judge.factory import make_judge
judge = make_judge({"kind": "openai", "base_url": sys.argv[1], "model": "m", "cache": sys.argv[2]})
async def main():
    print("ready", flush=True)
    case = dict(question="What is it?", answers=("Gout",), options=None, dataset="")
    levels = await asyncio.gather(*(judge.verdict(answer=f"answer {i}", **case) for i in range(20)))
    print([verdict.level for verdict in levels], flush=True)
asyncio.run(main())
"""


def worker(url, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    )


async def test_processes_that_want_the_same_at_the_same_time_ask_once(chat_server, tmp_path):
    chat_server.delay_s = 0.5
    workers = [worker(chat_server.url, tmp_path / "v.sqlite") for _ in range(3)]
    said = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in workers))
    assert [out.splitlines()[-1] for out, _ in said] == [str([2] * 20)] * 3
    assert chat_server.asked() == 20


async def test_a_killed_process_keeps_nobody_waiting(chat_server, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CLAIM_SECONDS", 0.5)
    chat_server.script = ["slow"] * 20 + [verdict_text(1)]
    process = worker(chat_server.url, tmp_path / "v.sqlite")
    while chat_server.asked() < 20:
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.communicate)
    judge = judge_of(chat_server, cache=str(tmp_path / "v.sqlite"))
    case = {"question": "What is it?", "answers": ("Gout",), "options": None, "dataset": ""}
    verdict = await asyncio.wait_for(judge.verdict(answer="answer 3", **case), 20)
    assert verdict.level == 1
    judge.close()


async def test_a_claim_is_renewed_as_long_as_its_request_lasts(stores, monkeypatch):
    monkeypatch.setattr(store, "CLAIM_SECONDS", 0.4)
    one, two = stores
    slow, ask = Asked(pause=1.5), Asked(Completion("other"))
    first = asyncio.ensure_future(one.once("k", slow))
    await asyncio.sleep(0.1)
    assert await two.once("k", ask) == await first == REPLY
    assert ask.times == 0


async def test_a_claim_of_a_clock_that_was_set_back_since_keeps_nobody_waiting(tmp_path, monkeypatch):
    path = tmp_path / "r.sqlite"
    with monkeypatch.context() as later:
        later.setattr(store.time, "time", lambda: 4e9)
        one, slow = ReplyStore(path), Asked(pause=60)
        left = asyncio.ensure_future(one.once("k", slow))
        while not slow.times:
            await asyncio.sleep(0.01)
    two, ask = ReplyStore(path), Asked()
    assert await asyncio.wait_for(two.once("k", ask), 20) == REPLY and ask.times == 1
    left.cancel()
    one.close()
    two.close()


def test_another_kind_of_file_is_the_users_mistake(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database, and they are long enough to be read as a header " * 3)
    with pytest.raises(UserError, match=r"notes\.txt"):
        ReplyStore(path)
    assert path.read_text().startswith("these are notes")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE reply (something TEXT)")
    with pytest.raises(UserError, match=r"other\.sqlite"):
        ReplyStore(other)
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        ReplyStore(tmp_path / "file" / "j")


@pytest.mark.parametrize("must_keep", [False, True])
async def test_a_failing_file(tmp_path, must_keep):
    path = tmp_path / "r.sqlite"
    replies, ask = ReplyStore(path, must_keep=must_keep), Asked()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE reply")
    if must_keep:
        with pytest.raises(UserError, match=r"r\.sqlite"):
            await replies.once("k", ask)
    else:
        assert await replies.once("k", ask) == REPLY
        assert replies.errors == 2
    replies.close()


async def test_a_journal_of_before(tmp_path):
    journal = tmp_path / "journal"
    with sqlite3.connect(journal) as connection:
        connection.execute(
            "CREATE TABLE call (key TEXT PRIMARY KEY, step TEXT, item TEXT, reply TEXT, prompt_tokens INTEGER, "
            "completion_tokens INTEGER, created REAL)"
        )
        connection.execute("INSERT INTO call VALUES ('k', 'grade', 'q:1', 'paid', 7, 8, ?)", (time.time(),))
    replies = ReplyStore(journal, must_keep=True)
    assert await replies.once("k", Asked()) == Completion("paid", 7, 8)
    replies.close()


def test_the_key_covers_everything():
    message = [{"role": "user", "content": "é"}]
    base = reply_key(message, "m", {"temperature": 0, "a": 1})
    assert base == reply_key([{"content": "é", "role": "user"}], "m", {"a": 1, "temperature": 0})
    others = [
        (message, "n", {"temperature": 0, "a": 1}),
        (message, "m", {"temperature": 1, "a": 1}),
        ([], "m", {"temperature": 0, "a": 1}),
        (message, "m", {"temperature": 0, "a": 1}, 1),
    ]
    assert len({base, *(reply_key(*parts) for parts in others)}) == 5
