"""Writes a labelled corpus, one JSON object a line: {"text", "spans": [[start, end, type], …]}.

Numbers are made with python-stdnum and the phonenumbers package, not with the product's own
checksums. Half of the texts name the thing, half do not. Offsets are in UTF-8 bytes.
"""

import json
import random
import string
import sys

import phonenumbers
from stdnum import iban, luhn, verhoeff
from stdnum.au import abn, tfn
from stdnum.es import dni
from stdnum.fi import hetu
from stdnum.gb import nhs
from stdnum.it import codicefiscale, iva
from stdnum.kr import rrn
from stdnum.pl import pesel
from stdnum.th import pin as thai
from stdnum.us import rtn

SEED = 20240501
PER_TYPE = 100
OTHERS = 1500


def digits(r, n, first="0123456789"):
    return r.choice(first) + "".join(r.choice(string.digits) for _ in range(n - 1))


def letters(r, n, of=string.ascii_uppercase):
    return "".join(r.choice(of) for _ in range(n))


def until(make, good):
    """Tries until a number is valid; all of these hit within some hundred tries."""
    while True:
        number = make()
        try:
            if good(number):
                return number
        except Exception:
            continue


def grouped(text, *sizes, by=" "):
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return by.join(parts)


def card(r):
    head, n = r.choice([("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16)])
    body = head + digits(r, n - len(head) - 1)
    number = body + luhn.calc_check_digit(body)
    if n == 15:
        return r.choice([number, grouped(number, 4, 6, 5, by="-")])
    return r.choice([number, grouped(number, 4, 4, 4, 4), grouped(number, 4, 4, 4, 4, by="-")])


def account(r):
    made = []
    for country, n in [("DE", 18), ("AT", 16), ("CH", 17), ("PT", 21)]:
        made.append((country, digits(r, n)))
    made.append(("GB", letters(r, 4) + digits(r, 14)))
    made.append(("NL", letters(r, 4) + digits(r, 10)))
    country, body = r.choice(made)
    number = country + iban.calc_check_digits(country + "00" + body) + body
    return r.choice([number, " ".join(number[i : i + 4] for i in range(0, len(number), 4))])


def phone(r):
    region = r.choice(["US", "GB", "DE", "FR", "IT", "IN", "BR", "JP", "AU", "SE"])
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    prefix = str(example.national_number)[:-4]

    def make():
        return phonenumbers.PhoneNumber(
            country_code=example.country_code, national_number=int(prefix + digits(r, 4))
        )

    number = until(make, phonenumbers.is_valid_number)
    form = r.choice(
        [phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL]
    )
    return phonenumbers.format_number(number, form)


def ssn(r):
    area = until(lambda: digits(r, 3), lambda a: a not in ("000", "666") and a[0] != "9")
    return f"{area}-{r.randint(1, 99):02}-{r.randint(1, 9999):04}"


def date(r, form):
    y, m, d = r.randint(1935, 2010), r.randint(1, 12), r.randint(1, 28)
    return form.format(y=y, m=m, d=d)


def ipv6(r):
    full = ":".join(f"{r.randrange(0x10000):04x}" for _ in range(8))
    return r.choice([full, f"2001:db8:{r.randrange(1, 0xFFFF):x}::{r.randrange(1, 0xFFFF):x}"])


def singapore(r):
    body = digits(r, 7)
    total = sum(w * int(c) for w, c in zip((2, 7, 6, 5, 4, 3, 2), body))
    return "S" + body + "JZIHGFEDCBA"[total % 11]


def nino(r):
    first = letters(r, 1, "ABCEGHJKLMNPRSTWXYZ")
    second = letters(r, 1, "ABCEGHJKLMNPRSTWXZ")
    if first + second in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"):
        return nino(r)
    body = digits(r, 6)
    tail = letters(r, 1, "ABCD")
    return r.choice([f"{first}{second}{body}{tail}",
                     f"{first}{second} {body[:2]} {body[2:4]} {body[4:]} {tail}"])


def nif(r):
    body = digits(r, 8)
    return body + dni.calc_check_digit(body)


def nie(r):
    head, body = r.choice("XYZ"), digits(r, 7)
    return head + body + dni.calc_check_digit(str("XYZ".index(head)) + body)


def dated(r, make, good):
    return until(lambda: date(r, "{y}-{m:02}-{d:02}") and make(), good)


def npi(r):
    body = "1" + digits(r, 8)
    return body + luhn.calc_check_digit("80840" + body)


def fiscal(r):
    def make():
        body = letters(r, 6, "BCDFGLMNPRSTV") + digits(r, 2) + r.choice("ABCDEHLMPRST")
        body += f"{r.randint(1, 28):02}" + letters(r, 1) + digits(r, 3)
        return body + codicefiscale.calc_check_digit(body)

    return make()


NAMES = ["ann", "j.smith", "maria_rossi", "bob+news", "li.wei", "o.meyer"]
HOSTS = ["example.com", "mail.example.co.uk", "firma.de", "uni.example.edu", "a.io"]
WORDS = "tree river stone paper window garden table music letter market".split()

# type: (maker, words that say what it is)
TYPES = {
    "email": (lambda r: f"{r.choice(NAMES)}{r.randint(1, 99)}@{r.choice(HOSTS)}", "email"),
    "credit_card": (card, "credit card"),
    "iban": (account, "iban"),
    "ip_address": (lambda r: r.choice([
        ".".join(str(r.randint(1, 254)) for _ in range(4)), ipv6(r)]), "ip address"),
    "url": (lambda r: f"https://{r.choice(HOSTS)}/{r.choice(WORDS)}?q={r.randint(1, 99)}", "link"),
    "crypto_wallet": (lambda r: "0x" + letters(r, 40, "0123456789abcdef"), "wallet"),
    "date_of_birth": (lambda r: date(r, r.choice(
        ["{y}-{m:02}-{d:02}", "{m:02}/{d:02}/{y}", "{d:02}.{m:02}.{y}"])), "born"),
    "mac_address": (lambda r: r.choice(":-").join(
        letters(r, 2, "0123456789ABCDEF") for _ in range(6)), "mac address"),
    "secret_code": (lambda r: r.choice(
        [f"password: {r.choice(WORDS)}{r.randint(10, 99)}", f"PIN {digits(r, 4)}",
         f"api key = sk-{letters(r, 12)}"]), "please note"),
    "phone": (phone, "phone"),
    "us_ssn": (ssn, "ssn"),
    "us_itin": (lambda r: f"9{digits(r, 2)}-{r.randint(70, 88)}-{digits(r, 4)}", "itin"),
    "us_passport": (lambda r: letters(r, 1) + digits(r, 8), "passport"),
    "us_driver_license": (lambda r: letters(r, 1) + digits(r, 7), "driver license"),
    "us_bank_routing": (lambda r: until(lambda: digits(r, 9, "0123"), rtn.is_valid), "routing"),
    "us_npi": (npi, "npi"),
    "uk_nhs": (lambda r: r.choice([lambda n: n, lambda n: grouped(n, 3, 3, 4)])(
        until(lambda: digits(r, 10), nhs.is_valid)), "nhs"),
    "uk_nino": (nino, "nino"),
    "it_fiscal_code": (fiscal, "codice fiscale"),
    "it_vat": (lambda r: until(lambda: digits(r, 11), iva.is_valid), "vat"),
    "it_passport": (lambda r: letters(r, 2) + digits(r, 7), "passaporto"),
    "it_identity_card": (lambda r: letters(r, 2) + digits(r, 5) + letters(r, 2), "cie"),
    "it_driver_license": (lambda r: letters(r, 2) + digits(r, 7) + letters(r, 1), "patente"),
    "in_aadhaar": (lambda r: (lambda b: grouped(b + verhoeff.calc_check_digit(b), 4, 4, 4))(
        digits(r, 11, "23456789")), "aadhaar"),
    "in_pan": (lambda r: letters(r, 3) + r.choice("PCHF") + letters(r, 1) + digits(r, 4)
               + letters(r, 1), "pan"),
    "es_nif": (nif, "dni"),
    "es_nie": (nie, "nie"),
    "au_tfn": (lambda r: grouped(until(lambda: digits(r, 9), tfn.is_valid), 3, 3, 3), "tfn"),
    "au_abn": (lambda r: grouped(until(lambda: digits(r, 11), abn.is_valid), 2, 3, 3, 3), "abn"),
    "pl_pesel": (lambda r: until(lambda: digits(r, 11), pesel.is_valid), "pesel"),
    "fi_pic": (lambda r: until(lambda: f"{r.randint(1, 28):02}{r.randint(1, 12):02}{digits(r, 2)}"
                               f"-{r.randint(2, 899):03}{r.choice('0123456789ABCDEFHJKLMNPRSTUVWXY')}",
                               hetu.is_valid), "hetu"),
    "th_tnin": (lambda r: until(lambda: digits(r, 13, "12345678"), thai.is_valid), "tnin"),
    "kr_rrn": (lambda r: until(lambda: f"{r.randint(50, 99)}{r.randint(1, 12):02}"
                               f"{r.randint(1, 28):02}-{r.choice('12')}{digits(r, 6)}",
                               rrn.is_valid), "rrn"),
    "sg_fin": (singapore, "nric"),
}

# Nothing in these is anyone's: what business mail is full of.
OTHER = [
    lambda r: f"order {digits(r, 8)} ships in {r.randint(2, 9)} days",
    lambda r: f"invoice {digits(r, 9)} of {date(r, '{y}-{m:02}-{d:02}')}",
    lambda r: f"tracking number {digits(r, 12)}",
    lambda r: f"timestamp {r.randint(1600000000000, 1800000000000)}",
    lambda r: f"epoch {r.randint(1600000000, 1800000000)} recorded",
    lambda r: f"version {r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 99)} is out",
    lambda r: f"meeting at {r.randint(8, 18)}:{r.randint(0, 59):02}:{r.randint(0, 59):02}",
    lambda r: f"commit {letters(r, 40, '0123456789abcdef')}",
    lambda r: f"request {letters(r, 8, '0123456789abcdef')}-{letters(r, 4, '0123456789abcdef')}"
              f"-4{letters(r, 3, '0123456789abcdef')}-a{letters(r, 3, '0123456789abcdef')}"
              f"-{letters(r, 12, '0123456789abcdef')}",
    lambda r: f"total {r.randint(1, 999)},{digits(r, 3)}.{digits(r, 2)} in room {digits(r, 3)}",
    lambda r: f"part {letters(r, 2)}-{digits(r, 4)}-{digits(r, 4)}, lot {letters(r, 3)}{digits(r, 3)}",
    lambda r: f"call std::{r.choice(WORDS)}::new with @{r.choice(WORDS)} at 50%",
]

FRAMES = ["{}", "Please check {} today.", "We have {} on file, thank you.", "({})", "See {}; bye"]


def line(text, made=None, kind=None):
    spans = []
    if made is not None:
        start = len(text[: text.index(made)].encode())
        spans.append([start, start + len(made.encode()), kind])
    return {"text": text, "spans": spans}


def main():
    r = random.Random(SEED)
    lines = []
    for kind, (make, words) in TYPES.items():
        for i in range(PER_TYPE):
            made = make(r)
            named = f"{words} {made}" if i % 2 == 0 else made
            lines.append(line(r.choice(FRAMES).format(named), made, kind))
    for _ in range(OTHERS):
        lines.append(line(r.choice(FRAMES).format(r.choice(OTHER)(r))))
    r.shuffle(lines)
    for entry in lines:
        json.dump(entry, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
