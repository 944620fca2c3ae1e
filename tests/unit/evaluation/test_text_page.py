"""The page of raw texts with gold and answers in colour."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.highlights import type_styles
from ner_mlflow.evaluation.text_answers import TextAnswer
from ner_mlflow.evaluation.text_errors import KINDS, find_text_errors
from ner_mlflow.evaluation.text_page import CONTEXT, FOLD_ABOVE, render_text_page
from ner_mlflow.tagging.iob2 import Entity

TYPES = ["OS", "SOFTWARE"]
SCORES = {"f1": 0.5304, "precision": 0.52, "recall": 0.5413}
SCRIPT = "<script>alert('&')</script>"


class TextParser(HTMLParser):
    """The articles of a page, each as its text, the marks of its characters and its labels."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.radios: list[str] = []
        self.titles: list[str] = []
        self.names: list[str] = []
        self.texts: list[str] = []
        self.marks: list[list[frozenset[str]]] = []
        self.labels: list[list[str]] = []
        self.folds: list[str] = []
        self._open: list[tuple[str, frozenset[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.ids += [value for name, value in values.items() if name == "id"]
        self.links += [value for name, value in values.items() if name == "href"]
        if tag == "input":
            self.radios.append(values["id"])
        if tag in ("input", "meta", "br"):
            return
        self._open.append((tag, frozenset(values.get("class", "").split())))
        if not self._inside("article"):
            return
        if tag == "article":
            self.names.append("")
            self.texts.append("")
            self.marks.append([])
            self.labels.append([])
        if tag == "span":
            self.titles.append(values["title"])
        if tag == "sub":
            self.labels[-1].append("")
        if tag == "details":
            self.folds.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if not self._inside("article") or self._inside("summary"):
            return
        if self._inside("sub"):
            self.labels[-1][-1] += data
        elif self._inside("b"):
            self.names[-1] += data
        elif any("text" in classes for _, classes in self._open):
            self.texts[-1] += data
            classes = self._open[-1][1] if self._open[-1][0] == "span" else frozenset()
            self.marks[-1] += [classes] * len(data)
            if self._inside("details"):
                self.folds[-1] += data

    def _inside(self, tag: str) -> bool:
        return any(name == tag for name, _ in self._open)


def answer(
    text: str, gold: list[tuple[int, int, str]], predicted: list[tuple[int, int, str]]
) -> TextAnswer:
    return TextAnswer(
        "file:1",
        text,
        tuple(Entity(*entity) for entity in gold),
        tuple(Entity(*entity) for entity in predicted),
        tuple(0.9 for _ in predicted),
    )


def render(*answers: TextAnswer, is_standin: bool = False, limit: int = 99) -> str:
    return render_text_page(answers, find_text_errors(answers), TYPES, SCORES, is_standin, limit)


def covered(marks: list[frozenset[str]], *names: str) -> list[int]:
    return [position for position, mark in enumerate(marks) if mark & set(names)]


def positions(entities: list[Entity]) -> list[int]:
    return sorted({position for e in entities for position in range(e.start, e.end)})


def visible(page: str) -> str:
    """Return the text of a page without its styles, blanks joined."""
    body = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub("<[^>]*>", "", body).split())


def test_the_page_opens_with_the_scores_and_what_they_are_about() -> None:
    page = visible(render(answer("on Redis", [(3, 8, "SOFTWARE")], [])))
    assert (
        "On 1 text with 1 gold entity, the model gives 0 answers: 52.0 % of its answers are "
        "right (precision), and it finds 54.1 % of the entities (recall). Strict F1 is 0.530."
    ) in page
    assert "not texts that users wrote" not in page


def test_a_stand_in_is_named_as_one_in_plain_words() -> None:
    page = visible(render(answer("on Redis", [], []), is_standin=True))
    assert "entities in texts joined from words" in page
    assert "raw text" not in page
    assert "These are not texts that users wrote." in page


def test_what_becomes_of_the_gold_entities_is_summed_up() -> None:
    text = "Redis on Debian with Bash and Zsh"
    gold = [(0, 5, "SOFTWARE"), (9, 15, "OS"), (21, 25, "SOFTWARE")]
    predicted = [(0, 5, "SOFTWARE"), (9, 15, "SOFTWARE"), (30, 33, "SOFTWARE")]
    page = visible(render(answer(text, gold, predicted)))
    assert (
        "Of the 3 gold entities: 1 found, 1 answered with a wrong span or type, 1 missed. "
        "1 more answer is spurious: gold has no entity there."
    ) in page


def test_spans_are_marked_by_what_they_are_and_labelled() -> None:
    text = "Redis on Debian 12 with Bash and Zsh"
    parser = TextParser(
        render(
            answer(
                text,
                [(0, 5, "SOFTWARE"), (9, 18, "OS"), (24, 28, "SOFTWARE")],
                [(0, 5, "SOFTWARE"), (9, 15, "SOFTWARE"), (33, 36, "SOFTWARE")],
            )
        )
    )
    (marks,) = parser.marks
    assert covered(marks, "right") == list(range(5))
    assert covered(marks, "gold") == [*range(9, 18), *range(24, 28)]
    assert covered(marks, "answer") == [*range(9, 15), *range(33, 36)]
    assert parser.labels == [
        ["SOFTWARE", "OS → SOFTWARE wrong type and cut", "SOFTWARE missed", "SOFTWARE spurious"]
    ]
    assert parser.titles == [
        "correct: gold SOFTWARE, answer SOFTWARE (0.90)",
        "wrong type and cut: gold OS, answer SOFTWARE (0.90)",
        "wrong type and cut: gold OS, answer SOFTWARE (0.90)",
        "missed: gold SOFTWARE, no answer",
        "spurious: no gold, answer SOFTWARE (0.90)",
    ]


def test_a_correct_span_has_the_colour_of_its_type() -> None:
    page = render(answer("Redis", [(0, 5, "SOFTWARE")], [(0, 5, "SOFTWARE")]))
    assert f'<span class="right" style="{type_styles(TYPES)[TYPES[1]]}"' in page


def test_the_border_of_a_gold_span_is_closed_only_where_the_span_ends() -> None:
    parser = TextParser(render(answer("abcdef", [(0, 5, "OS")], [(1, 2, "OS"), (3, 6, "OS")])))
    (marks,) = parser.marks
    assert covered(marks, "first") == [0]
    assert covered(marks, "last") == [3, 4]
    assert covered(marks, "gold") == [0, 1, 2, 3, 4]


def test_texts_with_most_errors_come_first_and_those_left_out_are_counted() -> None:
    answers = [
        TextAnswer("right", "Redis", (Entity(0, 5, "OS"),), (Entity(0, 5, "OS"),), (0.9,)),
        TextAnswer("one, long", "Redis and", (Entity(0, 5, "OS"),), (), ()),
        TextAnswer("one", "Redis", (Entity(0, 5, "OS"),), (), ()),
        TextAnswer("two", "Redis Bash", (Entity(0, 5, "OS"), Entity(6, 10, "OS")), (), ()),
    ]
    page = render(*answers)
    assert TextParser(page).names == ["two", "one", "one, long", "right"]
    assert "not shown" not in visible(page)
    page = render(*answers, limit=2)
    assert TextParser(page).names == ["two", "one"]
    assert "Shown: 2 of 4 texts" in visible(page)
    assert "2 texts with 1 error are not shown" in visible(page)
    assert "1 text without errors is not shown" in visible(render(*answers, limit=3))
    page = render(*answers, limit=0)
    assert TextParser(page).names == []
    assert "4 texts with 4 errors are not shown" in visible(page)


def test_each_kind_of_error_links_to_its_first_example_and_can_be_shown_alone() -> None:
    page = render(
        answer("Redis", [(0, 5, "OS")], []),
        answer("Redis, Bash", [(0, 5, "OS"), (7, 11, "OS")], [(7, 11, "SOFTWARE")]),
    )
    parser = TextParser(page)
    assert parser.links == ["#first-wrong-type", "#first-missed"]
    assert [id_ for id_ in parser.ids if id_.startswith("first-")] == [
        "first-missed",
        "first-wrong-type",
    ]
    assert parser.radios == ["only-wrong-type", "only-missed", "only-nothing"]
    assert all(f"#only-{radio}:checked" in page for radio in ("wrong-type", "missed"))
    assert page.index('id="first-missed"') < page.index("</article>")


def test_a_kind_without_an_example_on_the_page_has_no_link() -> None:
    page = render(
        answer("a b c", [(0, 1, "OS"), (2, 3, "OS")], []), answer("a", [], [(0, 1, "OS")]), limit=1
    )
    assert TextParser(page).links == ["#first-missed"]
    assert "in none of the texts shown" in page


def test_every_kind_has_a_row() -> None:
    page = render(answer("Redis", [(0, 5, "OS")], []))
    rows = re.findall(r'<tr class="([^" ]*)', page)
    assert rows == [kind.name.replace(" ", "-") for kind in KINDS]


def test_a_page_without_errors_or_without_texts_says_so() -> None:
    page = render(answer("Redis", [(0, 5, "OS")], [(0, 5, "OS")]))
    assert "No errors." in visible(page)
    assert TextParser(page).texts == ["Redis"]
    page = render()
    assert "On 0 texts with 0 gold entities" in visible(page)
    assert "No errors." in visible(page)


def test_texts_names_and_types_that_look_like_html_are_escaped() -> None:
    text = f"{SCRIPT} &amp; {SCRIPT}"
    case = TextAnswer(
        SCRIPT,
        text,
        (Entity(0, len(SCRIPT), SCRIPT),),
        (Entity(3, len(SCRIPT) + 3, '"onclick="'),),
        (0.9,),
    )
    page = render_text_page(
        [case], find_text_errors([case]), [SCRIPT, '"onclick="'], SCORES, False, 9
    )
    parser = TextParser(page)
    assert "script" not in parser.tags
    assert "<script" not in page
    assert 'onclick="' not in page
    assert parser.texts == [text]
    assert parser.names == [SCRIPT]
    assert parser.labels == [[f'{SCRIPT} → "onclick=" wrong type and cut']]


def test_characters_that_cannot_be_shown_are_escaped_and_the_page_can_be_written() -> None:
    text = "a\x00b\ud800c\u202ed\u200be\tf\r\ng\u00a0h\u3000i 👩\u200d💻"
    page = render(answer(text, [(0, 3, "OS")], []))
    page.encode("utf-8")
    assert TextParser(page).texts == [
        "a\\x00b\\ud800c\\u202ed\\u200be\tf\r\ng\u00a0h\u3000i 👩\u200d💻"
    ]


def test_stretches_without_entities_are_folded_at_the_ends_of_lines() -> None:
    line = "all is well here\n"
    text = f"Redis\n{line * 100}Bash\n{line * 100}"
    start = text.index("Bash")
    parser = TextParser(render(answer(text, [(0, 5, "OS"), (start, start + 4, "OS")], [])))
    assert parser.texts == [text]
    assert len(parser.folds) == 2
    for fold in parser.folds:
        assert len(fold) > len(line) * 80
        assert not len(fold) % len(line)
        assert fold.startswith("all")
        assert fold.endswith("here\n")
    assert len(text) - sum(map(len, parser.folds)) < 3 * (CONTEXT + 60) + 20


def test_text_up_to_the_limit_is_not_folded() -> None:
    parser = TextParser(render(answer("x" * FOLD_ABOVE, [], []), answer("y" * 9, [], [])))
    assert parser.folds == []
    parser = TextParser(render(answer("x" * (FOLD_ABOVE + 1), [], [])))
    assert parser.folds == ["x" * (FOLD_ABOVE + 1 - CONTEXT)]


def test_texts_and_errors_must_belong_together() -> None:
    with pytest.raises(ValueError, match="1 texts, but errors of 0"):
        render_text_page([answer("a", [], [])], [], TYPES, SCORES, False, 9)


@st.composite
def text_answers(draw: st.DrawFn) -> TextAnswer:
    pieces = st.sampled_from([*"ab <>&'\"\n\t", "é", "e\u0301", "👩\u200d💻", "漢", "word " * 90])
    text = "".join(draw(st.lists(pieces, max_size=20)))
    sides = []
    for _ in range(2):
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
        sides.append(
            tuple(
                Entity(start, end, draw(st.sampled_from(TYPES)))
                for start, end in pairwise(cuts)
                if draw(st.booleans())
            )
        )
    gold, predicted = sides
    return TextAnswer("a", text, gold, predicted, (0.5,) * len(predicted))


@settings(deadline=None, max_examples=80)
@given(st.lists(text_answers(), max_size=3))
def test_the_page_shows_every_text_as_sent_and_every_span_whole(answers: list[TextAnswer]) -> None:
    page = render(*answers)
    assert page == render(*answers)
    parser = TextParser(page)
    assert len(parser.ids) == len(set(parser.ids))
    assert sorted(parser.texts) == sorted(case.text for case in answers)
    order = sorted(
        range(len(answers)),
        key=lambda i: (-len(find_text_errors(answers)[i]), len(answers[i].text), i),
    )
    for index, marks, labels in zip(order, parser.marks, parser.labels, strict=True):
        case = answers[index]
        right = [entity for entity in case.gold if entity in case.predicted]
        gold = [entity for entity in case.gold if entity not in right]
        wrong = [entity for entity in case.predicted if entity not in right]
        assert covered(marks, "right") == positions(right)
        assert covered(marks, "gold") == positions(gold)
        assert covered(marks, "answer") == positions(wrong)
        assert len(labels) == len(right) + len(find_text_errors([case])[0])
