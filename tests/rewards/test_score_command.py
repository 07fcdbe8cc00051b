"""`medr3 score` and the rows it reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from command_line import medr3

from medr3_plugin.errors import UserError
from medr3_plugin.rewards.record import KEYS
from medr3_plugin.rewards.score_rows import read_rows

ROW = {
    "id": "r1",
    "question": "A tall patient with ectopia lentis: diagnosis?",
    "response": "<think>Ectopia lentis suggests Marfan syndrome. <search>lens</search><document>Marfan</document> "
    "Marfan syndrome is caused by FBN1 mutation.</think><answer>Marfan syndrome</answer>",
    "answer": "Marfan syndrome",
    "gold_docs": ["d1"],
    "retrieved": [
        [
            {
                "id": "d1",
                "text": "Marfan syndrome: FBN1 mutation.",
                "evidence_type": "guideline",
                "source": "a",
            },
            {"id": "d2", "text": "A systematic review and meta-analysis of asthma.", "source": "b"},
        ]
    ],
    "references": [{"triples": [["ectopia lentis", "suggests", "marfan syndrome", False]], "text": "t"}],
}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def run(tmp_path, *rows, options=()):
    source, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    arguments = ["--in", str(source), "--out", str(out), "--stage", "joint", *options]
    result = medr3("score", *arguments)
    records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return result, records


def test_one_record_a_row(tmp_path):
    result, [record] = run(tmp_path, ROW)
    assert result.exit_code == 0, result.output
    assert tuple(record) == ("id", *KEYS)
    assert record["id"] == "r1"
    assert record["acc"] == 1.0
    assert record["retrieval_quality"] == pytest.approx(7 / 9)  # a guideline
    assert record["retrieval_breadth"] == 1.0  # the one search brought a relevant document
    b = 0.6 * record["reasoning"] + 0.2 * record["retrieval"] + 0.2 * record["coordination"]
    assert record["score"] == pytest.approx(1 + 0.8 * b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": True}, "field 'id': expected a text"),
        ({"response": 3}, "field 'response': expected a string, got 3"),
        ({"question": None}, "field 'question' is missing"),
        ({"answer": None}, "field 'answer' or 'answers' is missing"),
        ({"answer": []}, "field 'answer'"),
        ({"answer": ["a", 2.5, [" "]]}, "field 'answer'"),
        ({"options": ["a"]}, "field 'options'"),
        ({"options": {"A": [1], "B": "b"}}, "field 'options.A'"),
        ({"gold_docs": {"d1": 1}}, "field 'gold_docs'"),
        ({"retrieved": [{}]}, "field 'retrieved'"),
        ({"retrieved": [[1]]}, "retrieved[0][0]"),
        ({"retrieved": [[{"id": "x"}]]}, "retrieved[0][0]"),
        ({"retrieved": [[], [{"id": "x", "text": "y", "evidence_level": 12}]]}, "retrieved[1][0]"),
        ({"references": {}}, "references: "),
        ({"references": [{}, 3]}, "references[1]: "),
        ({"references": [{"triples": [["a", "b", "c", "yes"]]}]}, "references[0].triples[0][3]: "),
        ({"references": [{"text": 1}]}, "references[0].text: "),
        ({"triples": [["a", "b"]]}, "triples[0][2]: missing"),
        ({"id": "\ud800"}, "key 'id': half a surrogate pair"),
        (
            {"response": ROW["response"].replace("syndrome", "\ud800")},
            "key 'response': half a surrogate pair",
        ),
        ({"answer": ["a", "\udfff"]}, "key 'answer': half a surrogate pair"),
        ({"triples": [["a", "\udfff", "b"]]}, "key 'triples': half a surrogate pair"),
        ({"retrieved": [[{"id": "x", "text": "y", "year": "--5"}]]}, "retrieved[0][0]: field 'year'"),
        (
            {"retrieved": [[{"id": "x", "text": "y", "publication_types": 7}]]},
            "retrieved[0][0]: field 'publication_types'",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--explain",)])
def test_a_wrong_row_is_named_and_the_others_are_scored(tmp_path, change, message, options):
    bad = {key: value for key, value in (ROW | change).items() if value is not None}
    result, records = run(tmp_path, ROW, bad, ROW | {"id": 2}, options=options)
    assert result.exit_code == 2
    assert [record["id"] for record in records] == ["r1", "2"]
    assert f"in.jsonl:2: {message}" in result.stderr


def test_a_number_too_long_to_read_is_named(tmp_path):
    result, records = run(tmp_path, ROW, json.dumps(ROW).replace('"r1"', "7" * 5000))
    assert result.exit_code == 2
    assert len(records) == 1
    assert "in.jsonl:2: " in result.stderr and "4300 digits" in result.stderr


def test_lines_that_are_no_rows(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'{"id": \n[1]\n\xff\xfe\n\n' + b"[" * 100_000 + b"\n" + json.dumps(ROW).encode())
    rows = list(read_rows(source, "joint"))
    assert [str(row).split(":", 2)[1] for row in rows[:-1]] == ["1", "2", "3", "5"]
    assert rows[-1].id == "r1"


def test_an_accepted_answer_that_is_none_of_the_options_is_named_once(tmp_path):
    options = {"A": "Marfan syndrome", "B": "Gout"}
    rows = [
        {**ROW, "id": f"r{i}", "options": options, "answer": gold}
        for i, gold in enumerate(["B", "Croup", "Flu"])
    ]
    result, records = run(tmp_path, *rows)
    assert len(records) == 3
    [line] = [line for line in result.output.splitlines() if "not one of the options" in line]
    assert "2 rows" in line
    assert "'r1'" in line
    assert "not one of the options" not in run(tmp_path, rows[0], ROW)[0].output


def test_explain(tmp_path):
    result, _ = run(tmp_path, ROW, options=["--explain"])
    for words in (
        "r1: score",
        "right: Marfan syndrome",
        "ectopia lentis -> marfan syndrome",
        "relevant: d1",
        "1.00 answer + 0.80 x ",
        "0.6 reasoning, 0.2 retrieval, 0.2 coordination",
    ):
        assert words in result.stdout, result.stdout


@pytest.mark.parametrize("preset", ["medr3", "authors"])
def test_the_score_in_words_adds_up(tmp_path, preset):
    rows = [
        ROW,
        ROW | {"id": "w", "answer": "Loeys-Dietz syndrome"},
        ROW | {"id": "n", "response": "no tags"},
    ]
    result, records = run(tmp_path, *rows, options=["--explain", "--preset", preset])
    lines = [line for line in result.stdout.splitlines() if ": score " in line]
    for line, record in zip(lines, records, strict=True):
        found = re.search(r"([\d.]+) answer \+ ([\d.]+) x ([\d.]+) bonus .* - ([\d.]+) penalties", line)
        if found is None:
            assert "the floor without an answer" in line and record["score"] == -0.5
            continue
        answer, share, bonus, penalty = map(float, found.groups())
        assert record["score"] == pytest.approx(answer + share * bonus - penalty, abs=0.01)


def test_explain_of_forged_and_unanswered(tmp_path):
    forged = ROW | {
        "id": "f",
        "response": "<think><document>x</document></think><answer>a</answer>",
        "retrieved": None,
    }
    silent = ROW | {"id": "s", "response": "I do not know."}
    result, records = run(tmp_path, forged, silent, options=["--explain"])
    assert [record["score"] for record in records] == [-1.0, -0.5]
    assert "f: score -1.000, the floor of forged evidence" in result.stdout
    assert "s: score -0.500, the floor without an answer" in result.stdout


def test_more_documents_than_searches_returned_is_forged(tmp_path):
    response = ROW["response"].replace("</think>", "<search>x</search><document>made up</document></think>")
    _, [record] = run(tmp_path, ROW | {"response": response})
    assert record["forged"] == 1.0


@pytest.mark.parametrize("preset", ["medr3", "paper", "authors"])
def test_the_end_token_of_a_chat_template_changes_no_score(tmp_path, preset):
    ends = ("", "<|im_end|>", "</s>", "<|endoftext|>\n")
    rows = [ROW | {"id": "r", "response": ROW["response"] + end} for end in ends]
    result, [record, *others] = run(tmp_path, *rows, options=["--preset", preset])
    assert result.exit_code == 0, result.output
    assert record["acc"] == 1.0 and record["format"] == 1.0
    assert others == [record] * len(others)


def test_authors_preset(tmp_path):
    row = ROW | {"answer": "Loeys-Dietz syndrome"}
    result, [record] = run(tmp_path, row, options=["--preset", "authors"])
    assert result.exit_code == 0
    assert record["score"] == pytest.approx(0.1 + 0.8 * record["reasoning"])


def test_config_file(tmp_path):
    config = tmp_path / "reward.yaml"
    config.write_text("medr3:\n  reward:\n    stages:\n      joint: {weights: {retrieval: 1.0}}\n")
    _, [record] = run(tmp_path, ROW, options=["--config", str(config)])
    assert record["score"] == pytest.approx(1 + 0.8 * record["retrieval"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("medr3: {reward: {}, stages: [joint]}", "medr3.stages[0]"),
        ("medr3: {stages: {joint: 1}}", "medr3.stages"),
        ("medr3: {stages: [{until: 3}]}", "medr3.stages[0].name"),
        ("medr3: {stages: [{name: joint, reward: 3}]}", "medr3.stages[0].reward"),
        ("medr3: {reward: {stages: [joint]}}", "medr3.reward.stages"),
        ("medr3: {reward: {stages: {joint: 3}}, stages: [{name: joint}]}", "medr3.reward.stages.joint"),
        ("stages: {joint: {paper: {K: 0}}}", "medr3.reward.stages.joint.paper.K"),
        ("medr3: {stages: [{name: joint, reward: {paper: {K: 0}}}]}", "medr3.stages[0].reward.paper.K"),
        (
            "medr3: {reward: {paper: {K: 0}}, stages: [{name: joint, reward: {paper: {alpha: 1}}}]}",
            "medr3.reward.paper.K",
        ),
        ("encoder: 5", "medr3.reward.encoder"),
        ("stages: [joint]", "medr3.reward.stages"),
        ("extractor: {vocabularies: v.jsonl}", "medr3.reward.extractor.vocabularies"),
        ("extractor: {vocabularies: [not/there.jsonl]}", "medr3.reward.extractor.vocabularies"),
        ("preset: paper\npreset: medr3", "reward.yaml: not yaml"),
    ],
)
def test_a_wrong_config_names_its_key(tmp_path, text, key):
    config = tmp_path / "reward.yaml"
    config.write_text(text)
    result, records = run(tmp_path, ROW, options=["--config", str(config)])
    assert isinstance(result.exception, UserError) and f"{key}: " in str(result.exception)
    assert "instance of" not in str(result.exception) and records == []


@pytest.mark.parametrize(
    "text",
    [
        "stages: {joint: {gate: {wrong: 0.5, partly: 0.5, right: 0.8}}}",
        "stages: {joint: {weights: {reasoning: 2}}}",
        "judge: {kind: openai}",
        "extractor: {kind: judge}",
    ],
)
def test_what_a_stage_or_a_part_refuses_names_the_file(tmp_path, text):
    config = tmp_path / "reward.yaml"
    config.write_text(text)
    result, _ = run(tmp_path, ROW, options=["--config", str(config)])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"--config {config}: medr3.reward")


def test_an_encoding_without_chinese_stops_nothing(tmp_path):
    row = {**ROW, "id": "\u7ef4", "response": "<think>x</think><answer>\u7ef4\u751f\u7d20C</answer>"}
    source = write(tmp_path / "in.jsonl", row)
    command = [sys.executable, "-m", "medr3_plugin", "score", "--in", source, "--stage", "joint", "--out"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    told = subprocess.run([*command, tmp_path / "o.jsonl", "--explain"], env=environment, capture_output=True)
    assert told.returncode == 0 and b"\\u7ef4" in told.stdout
    piped = subprocess.run([*command, "-"], env=environment, capture_output=True)
    assert json.loads(piped.stdout.decode())["id"] == "\u7ef4"


def test_vocabulary(tmp_path):
    terms = write(
        tmp_path / "v.jsonl", {"name": "Marfan syndrome"}, {"name": "FBN1", "synonyms": ["FBN1 mutation"]}
    )
    result, [record] = run(tmp_path, ROW, options=["--vocabulary", str(terms)])
    assert result.exit_code == 0
    # three of the four terms that the reference has beyond the question
    assert record["reasoning_statistic"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "fourth"], "--stage: .fourth"),
        (["--preset", "best"], "--preset: .best"),
        (["--config", "none.yaml"], "cannot read none.yaml"),
        (["--vocabulary", "none.jsonl"], "none.jsonl does not exist"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, options, message):
    result, records = run(tmp_path, ROW, options=options)
    assert isinstance(result.exception, UserError)
    with pytest.raises(UserError, match=message):
        raise result.exception
    assert records == []


def test_out_must_not_be_in(tmp_path):
    source = write(tmp_path / "in.jsonl", ROW)
    result = medr3("score", "--in", source, "--out", source, "--stage", "joint")
    assert isinstance(result.exception, UserError)
    assert json.loads(source.read_text())["id"] == "r1"


def test_a_dash_stands_for_standard_input_and_output():
    command = [
        sys.executable,
        "-m",
        "medr3_plugin",
        *["score", "--in", "-", "--out", "-", "--stage", "joint"],
    ]
    done = subprocess.run(command, input=json.dumps(ROW) + "\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [record] = map(json.loads, done.stdout.splitlines())
    assert record["id"] == "r1" and record["acc"] == 1.0


def test_missing_input_writes_nothing(tmp_path):
    files = ["--in", tmp_path / "none.jsonl", "--out", tmp_path / "out.jsonl"]
    result = medr3("score", *files, "--stage", "joint")
    assert isinstance(result.exception, UserError)
    assert not list(tmp_path.iterdir())


def test_a_recipes_interpolations_and_stages_are_resolved(tmp_path, monkeypatch):
    pytest.importorskip("omegaconf")
    config = tmp_path / "recipe.yaml"
    config.write_text(
        "defaults: [ppo_trainer]\npaths: {share: 1.0}\ndata: {x: '${not.here}'}\nmedr3:\n  reward: {preset: medr3}\n"
        "  stages: [{name: joint, reward: {weights: {retrieval: '${paths.share}'}}}]\n"
    )
    _, [record] = run(tmp_path, ROW, options=["--config", str(config)])
    assert record["score"] == pytest.approx(1 + 0.8 * record["retrieval"])
    config.write_text("medr3: {reward: {preset: '${nobody.knows}'}}")
    result, _ = run(tmp_path, ROW, options=["--config", str(config)])
    assert isinstance(result.exception, UserError) and "nobody" in str(result.exception)


def test_without_a_judge_nothing_of_a_config_asks_one(tmp_path):
    config = tmp_path / "reward.yaml"
    judge = "judge: {kind: openai, base_url: 'http://127.0.0.1:9/v1', attempts: 1}"
    config.write_text(f"{judge}\nagreement: {{kind: judge}}\nextractor: {{kind: judge}}\n")
    alone, records = run(tmp_path, ROW, options=["--config", str(config), "--judge", "rule"])
    assert alone.exit_code == 0 and records[0]["valid"] == 1.0
    asking, _ = run(tmp_path, ROW, options=["--config", str(config)])
    assert asking.exit_code == 1


def test_a_judge_model_without_a_judge_is_refused(tmp_path):
    result, _ = run(tmp_path, ROW, options=["--judge-model", "m"])
    assert isinstance(result.exception, UserError) and "--judge" in str(result.exception)


def test_rows_left_out_have_an_exit_code_of_their_own(tmp_path):
    result, records = run(tmp_path, ROW, {**ROW, "answer": None}, options=["--skip-bad"])
    assert result.exit_code == 3 and len(records) == 1
    assert run(tmp_path, ROW, options=["--skip-bad"])[0].exit_code == 0


def test_labels_that_count_from_one_are_refused_whole(tmp_path):
    def rows(*labels):
        return [
            {
                "question": f"Q{n}?",
                "options": ["x", "y", "z"],
                "answer_idx": label,
                "response": "<answer>A</answer>",
            }
            for n, label in enumerate(labels)
        ]

    result, records = run(tmp_path, *rows(1, 3, 2))
    assert not records
    assert isinstance(result.exception, UserError) and "in.jsonl:2: " in str(result.exception)
    assert [record["acc"] for record in run(tmp_path, *rows(1, 0, 2))[1]] == [0, 1, 0]


def test_rows_of_others_are_read(tmp_path):
    """Search-R1's: no id, `<information>`, accepted answers under `golden_answers` or in `reward_model`."""
    response = (
        "<think>It is a vitamin. <search>scurvy</search><information>Doc 1(Title: Scurvy) Scurvy is a lack of "
        "vitamin C.</information> So it is.</think><answer>ascorbic acid</answer>"
    )
    row = {"question": "Which vitamin prevents scurvy?", "response": response}
    answers = ["vitamin C", "ascorbic acid"]
    _, records = run(
        tmp_path,
        {**row, "golden_answers": answers},
        {**row, "reward_model": {"style": "rule", "ground_truth": {"target": answers}}},
        {**row, "answer": {"target": answers}},
    )
    assert [(r["id"], r["acc"], r["documents"]) for r in records] == [
        (f"line {n}", 1.0, 1.0) for n in (1, 2, 3)
    ]
    result, records = run(tmp_path, {**row, "answer": {"value": "vitamin C"}})
    assert result.exit_code == 2 and "field 'answer'" in result.output and not records


@pytest.mark.parametrize(
    ("shown", "forged"),
    [
        ("[a, guideline, 2020] Marfan syndrome: FBN1 mutation.", 0.0),
        ("Marfan syndrome: FBN1", 0.0),  # cut to the budget
        ("Doc 1(Title: x) Marfan syndrome: FBN1 mutation.", 0.0),
        ("It is surely the Loeys-Dietz syndrome here.", 1.0),
        ("Loeys-Dietz", 1.0),
    ],
)
def test_a_document_that_no_list_holds_was_forged(tmp_path, shown, forged):
    response = f"<think>Hm. <search>lens</search><document>{shown}</document></think><answer>Marfan syndrome</answer>"
    _, [record] = run(tmp_path, {**ROW, "response": response})
    assert record["forged"] == forged


@pytest.mark.parametrize(
    ("kind", "forged"),
    [
        ("randomized controlled trial", 0.0),
        ("Practice Guideline", 0.0),
        ("case reports", 0.0),
        ("随机对照试验", 0.0),
        ("economic cost evaluation", 0.0),  # none of our types
        ("expert opinion of a wise man, not retrieved", 1.0),
    ],
)
@pytest.mark.parametrize("form", ["({0}, {1}) {2}. {3}", "{2}. {3} ({0}, {1})"])
def test_a_header_may_name_the_evidence_type_as_the_row_does(tmp_path, kind, forged, form):
    document = {"id": "a", "title": "Marfan", "text": "FBN1 mutation.", "source": "BMJ"}
    shown = form.format("BMJ", kind, "Marfan", "FBN1 mutation.")
    response = f"<think>Hm. <search>lens</search><document>{shown}</document></think><answer>Marfan syndrome</answer>"
    retrieved = [[document | ({} if forged else {"evidence_type": kind})]]
    _, [record] = run(tmp_path, {**ROW, "response": response, "retrieved": retrieved})
    assert record["forged"] == forged


@pytest.mark.parametrize("stage", ["reasoning", "retrieval", "joint"])
def test_paper_preset_in_words_adds_up(tmp_path, stage):
    rows = [ROW, ROW | {"id": "n", "response": "no tags"}]
    result, records = run(tmp_path, *rows, options=["--explain", "--preset", "paper", "--stage", stage])
    assert result.exit_code == 0, result.output
    assert {tuple(record) for record in records} == {("id", *KEYS)}
    lines = [line for line in result.stdout.splitlines() if ": score " in line]
    for line, record in zip(lines, records, strict=True):
        terms = re.findall(r"([\d.]+) (?:answer|format|reasoning|retrieval_number|retrieval)\b", line)
        assert record["score"] == pytest.approx(sum(map(float, terms)), abs=0.02)
    assert records[0]["score"] >= 3.0  # a right answer in the right form, and the stage's bonus
    assert records[1]["score"] == float(stage == "reasoning")  # its search counts without an answer
