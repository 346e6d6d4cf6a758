"""The alphabets in which programs write down what a mouth shows, each as the phone that it looks like.

Sources: the viseme reference of the Oculus lip-sync library (15 names), the viseme events of Azure's speech service
(0 to 21), the speech marks of Amazon Polly (X-SAMPA-like letters), the mouth shapes of Rhubarb (A to H and X, after
the cartoonists' Preston Blair set), and ARPAbet with or without stress digits.
"""

from __future__ import annotations

from models.mouth.phones import CLASS_OF

OCULUS = {
    "sil": "SIL", "PP": "P", "FF": "F", "TH": "TH", "DD": "D", "kk": "K", "CH": "CH", "SS": "S", "nn": "N", "RR": "R",
    "aa": "AA", "E": "EH", "ih": "IH", "I": "IH", "oh": "AO", "O": "AO", "ou": "UW", "U": "UW",
}  # fmt: skip
AZURE = {
    "0": "SIL", "1": "AE", "2": "AA", "3": "AO", "4": "EH", "5": "ER", "6": "IY", "7": "UW", "8": "OW", "9": "AW",
    "10": "OY", "11": "AY", "12": "HH", "13": "R", "14": "L", "15": "S", "16": "CH", "17": "TH", "18": "F", "19": "D",
    "20": "K", "21": "P",
}  # fmt: skip
POLLY = {
    "sil": "SIL", "p": "P", "t": "T", "S": "SH", "T": "TH", "f": "F", "k": "K", "i": "IY", "r": "R", "s": "S",
    "u": "UW", "@": "AH", "a": "AA", "e": "EY", "E": "EH", "o": "OW", "O": "AO",
}  # fmt: skip
RHUBARB = {"A": "P", "B": "S", "C": "EH", "D": "AA", "E": "AO", "F": "UW", "G": "F", "H": "L", "X": "SIL"}
ARPABET = {phone: phone for phone in CLASS_OF} | {"sil": "SIL", "sp": "SIL", "spn": "SIL", "": "SIL"}

#: where two would do, the first is taken
ALPHABETS = {"ARPAbet": ARPABET, "Oculus": OCULUS, "Azure": AZURE, "Rhubarb": RHUBARB, "Polly": POLLY}


def phones_of(labels: list[str]) -> tuple[list[str], str]:
    """Labels as ARPAbet phones, and the name of the alphabet that holds them all.

    Raises ValueError, naming the label, where no alphabet does.
    """
    plain = [label.strip() for label in labels]
    bare = [label.rstrip("012") if label[:1].isalpha() else label for label in plain]
    strays = {}
    for name, alphabet in ALPHABETS.items():
        words = bare if name == "ARPAbet" else plain
        strays[name] = [word for word in words if word not in alphabet]
        if not strays[name]:
            return [alphabet[word] for word in words], name
    name = min(strays, key=lambda key: len(strays[key]))
    raise ValueError(f"'{strays[name][0]}' is no viseme or phone of {', '.join(ALPHABETS)}")
