"""What names and sentences may not contain: characters that nobody sees, and identifiers of a person.

Control, direction and invisible characters make a text look like a different one ("Trojan Source",
Boucher & Anderson 2021), in labels, model cards and plans. Names in every script stay: the zero-width
joiner and non-joiner, which Persian and Indic names need, are accepted between letters of these scripts.

Names of variables, levels, steps and sites leave a hospital, so none of them may look like a date, a
record, phone or national number, or an address.
"""

import re
import unicodedata

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


_BETWEEN = r"[\s._/:,-]{1,2}"
_ENGLISH = (
    "jan january feb february mar march apr april may jun june jul july aug august sep sept"
    " september oct october nov november dec december"
)
_GERMAN = "januar februar märz mars mai juni juli oktober dezember"  # codespell:ignore
_FRENCH = "janvier avril juin juillet septembre octobre novembre décembre"  # codespell:ignore
_MONTHS = f"{_ENGLISH} {_GERMAN} {_FRENCH}"
_MONTH = "(?:" + "|".join(_MONTHS.split()) + ")"
_TOP = (
    "com|org|net|edu|gov|int|mil|info|io|eu|uk|us|ca|au|nz|ie|de|at|ch|fr|nl|be|it|es|pt|dk|se|no"
)
_ID_WORDS = frozenset(
    "mrn nhs ssn nino chi nhi pid id tel phone mobile fax dob born birth ip mail email passport".split()  # noqa: SIM905
)
_FEWEST_DIGITS = 4  # beside a word such as "mrn"
_GROUPS = re.compile(rf"\d+(?:{_BETWEEN}\d+)+")
_PATTERNS = re.compile(
    r"\d{5}"  # record numbers
    r"|\d+\.\d+\.\d+"  # UIDs and network addresses
    r"|[0-9a-f]{12}|(?:[0-9a-f]{2}[:_-]){5}[0-9a-f]{2}"  # hashes, network cards
    rf"|(?<!\d)\d{{1,4}}(?:st|nd|rd|th)?(?:{_BETWEEN})?{_MONTH}(?![^\W\d_])"
    rf"|(?<![^\W\d_]){_MONTH}(?:{_BETWEEN})?\d{{1,4}}(?!\d)"
    rf"|@|[a-z0-9-]+\.(?:{_TOP})(?![^\W_])|[^\W_]+_[^\W_]+_(?:com|org|net|edu|gov)$"
)


def name_of(text: str) -> str:
    """Convert a level's name to the characters of the wire: letters, digits, ``_`` and ``.``.

    Examples
    --------
    >>> name_of("18-40"), name_of("female")
    ('level_18_40', 'female')
    """
    name = re.sub(r"[^A-Za-z0-9_.]", "_", text)[:56]
    return name if name[:1].isalpha() else f"level_{name}"


def looks_like_identifier(text: str) -> bool:
    """Whether a name contains a date, a number of a person, or an address, in a common spelling.

    Examples
    --------
    >>> [looks_like_identifier(x) for x in ("born_12_March_1953", "tel_617_555_0100", "MRN 4711-0012")]
    [True, True, True]
    >>> [looks_like_identifier(x) for x in ("age_18_40", "creatinine_100_120", "grade 3", "may_have")]
    [False, False, False, False]
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if _PATTERNS.search(folded):
        return True
    if any(_is_long_number(match.group()) for match in _GROUPS.finditer(folded)):
        return True
    words = set(re.findall(r"[^\W\d_]+", folded))
    return bool(words & _ID_WORDS) and sum(c.isdigit() for c in folded) >= _FEWEST_DIGITS


def _is_long_number(text: str) -> bool:
    """Whether groups of digits are a date or a number; an ascending pair is a range."""
    groups = re.findall(r"\d+", text)
    if len(groups) > 2:
        return sum(map(len, groups)) >= 5
    is_range = int(groups[0]) < int(groups[1]) and not any(
        len(group) > 1 and group.startswith("0") for group in groups
    )
    return sum(map(len, groups)) >= 6 and not is_range
