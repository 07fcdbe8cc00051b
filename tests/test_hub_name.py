from __future__ import annotations

import sys
from types import ModuleType

import pytest

from medr3_plugin.hub_name import hub_or_cache, is_hub_name
from medr3_plugin.tables import SUFFIXES


@pytest.fixture
def constants(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What the Hub's library reads its mode from."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    module = ModuleType("huggingface_hub.constants")
    module.HF_HUB_OFFLINE = False  # type: ignore[attr-defined]
    package = ModuleType("huggingface_hub")
    package.constants = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", module)
    return module


def test_a_hub_out_of_reach_is_not_asked_again_and_again(constants, monkeypatch, caplog):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="not in the cache"), hub_or_cache("owner/name"):
        assert constants.HF_HUB_OFFLINE
        raise OSError("not in the cache")
    assert not constants.HF_HUB_OFFLINE
    assert "owner/name" in caplog.text and "http://127.0.0.1:9" in caplog.text


def test_a_hub_that_answers_or_that_nobody_needs(constants, monkeypatch, httpserver, tmp_path, caplog):
    httpserver.expect_request("/").respond_with_data(status=404)
    monkeypatch.setenv("HF_ENDPOINT", httpserver.url_for("/"))
    with hub_or_cache("owner/name"):
        assert not constants.HF_HUB_OFFLINE
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with hub_or_cache(tmp_path):  # a folder
        assert not constants.HF_HUB_OFFLINE
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the user's own choice
    with hub_or_cache("owner/name"):
        pass
    assert "does not answer" not in caplog.text


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".txt", ".md", ".xml", ".ndjson.zst", ".xml.gz", ".JSONL"])
def test_a_file_that_is_missing_is_no_hub_name(suffix):
    assert not is_hub_name(f"data/mine{suffix}")
