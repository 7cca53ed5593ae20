"""Characters that a name or sentence may not contain: control, direction and invisible ones.

They make a text look like a different one ("Trojan Source", Boucher & Anderson 2021), in labels,
model cards and plans. Names in every script stay: the zero-width joiner and non-joiner, which Persian
and Indic names need, are accepted between letters of these scripts.
"""

import re

from healthval.errors import counted

# Class of a regular expression that Python, Rust and ECMAScript read alike.
UNSEEN = (
    r"\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb"
)
_UNSEEN = re.compile(f"[\x00-\x08\x0b-\x1f{UNSEEN}\U000e0000-\U000e007f]")
_JOINER = re.compile("[\u200c\u200d]")
# Arabic, Syriac and Mongolian letters join; the Indic scripts and those derived from them have conjuncts.
_JOINED = "[\u0600-\u07bf\u0840-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1800-\u18af\ufb50-\ufdff\ufe70-\ufeff]"
_BETWEEN_LETTERS = re.compile(f"(?<={_JOINED})[\u200c\u200d](?={_JOINED})")


def unseen(text: str) -> int:
    r"""Count the characters of a text that a reader cannot see, or that turn its direction.

    Tabs and line breaks are not counted.

    >>> unseen("Nord\u202etset"), unseen("東京病院"), unseen("می\u200cرود"), unseen("No\u200crd")
    (1, 0, 0, 1)
    """
    joiners = len(_JOINER.findall(text)) - len(_BETWEEN_LETTERS.findall(text))
    return len(_UNSEEN.findall(text)) + joiners


def check_seen(text: str) -> str:
    """Return the text if it has no unseen character; the error quotes nothing."""
    if count := unseen(text):
        found = counted(count, "invisible or direction character")
        raise ValueError(f"{found} in a text; write it without")
    return text
