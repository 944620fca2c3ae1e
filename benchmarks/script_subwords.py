"""Count the subwords of chunks without blanks: whole, and cut by character.

Each piece is encoded as a word of its own, as the model sees it. ``unknown`` counts the subwords
that the tokenizer does not know.

usage: python -m benchmarks.script_subwords BACKBONE [BACKBONE ...]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from ner_mlflow.modeling.build import backend_tokenizer, load_tokenizer
from ner_mlflow.tagging.scripts import split_scripts

CHUNKS = {
    "Chinese": ["使用Redis缓存数据", "他在北京的清华大学工作"],
    "Japanese": ["サーバーのキャッシュを使用する", "東京大学で働いています"],
    "Thai": ["ประเทศไทยใช้ระบบปฏิบัติการ"],
    "Khmer": ["ភ្នំពេញកម្ពុជា"],
    "Burmese": ["မြန်မာနိုင်ငံ"],
    "Korean": ["Redis를", "데이터베이스"],
}


def main() -> None:
    """Count, and print one JSON object per backbone."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("backbones", nargs="+", type=Path)
    for folder in parser.parse_args().backbones:
        tokenizer = backend_tokenizer(load_tokenizer(folder, str(folder)))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        counts = {language: _count(tokenizer, chunks) for language, chunks in CHUNKS.items()}
        print(json.dumps({"backbone": folder.name, **counts}))


def _count(tokenizer: Tokenizer, chunks: Sequence[str]) -> dict[str, int]:
    pieces = [chunk[start:end] for chunk in chunks for start, end in split_scripts(chunk)]
    whole, cut = (_subwords(tokenizer, words) for words in (chunks, pieces))
    unknown = getattr(tokenizer.model, "unk_token", None)
    return {
        "characters": sum(map(len, chunks)),
        "pieces": len(pieces),
        "subwords_whole": len(whole),
        "unknown_whole": whole.count(unknown or ""),
        "subwords_cut": len(cut),
        "unknown_cut": cut.count(unknown or ""),
    }


def _subwords(tokenizer: Tokenizer, words: Sequence[str]) -> list[str]:
    subwords: list[str] = tokenizer.encode(
        list(words), is_pretokenized=True, add_special_tokens=False
    ).tokens
    return subwords


if __name__ == "__main__":
    main()
