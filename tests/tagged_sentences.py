"""Sentences of words and tags, drawn by Hypothesis: what tests of training text share."""

from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.tagging.iob2 import repair

WORDS = ["Redis", "nginx/1.25", "Redis,Nginx", "torch==2.1.0", "(", ")", ".", "n't", "does", "C++"]
SENTENCES = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"])),
    max_size=10,
).map(
    lambda rows: Sentence(
        tuple(word for word, _ in rows), tuple(repair([tag for _, tag in rows])), "post", "f:1"
    )
)
