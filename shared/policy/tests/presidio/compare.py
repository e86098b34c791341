"""Compares the product's recognisers with Microsoft Presidio on a labelled corpus.

Usage: compare.py CORPUS OURS, where OURS is what the example `pii` wrote for CORPUS. Prints a
Markdown table. Both are given each type alone; a span counts as found when a find of its type
overlaps it, and a find is false when it overlaps no span of its type.
"""

import inspect
import json
import sys
from collections import Counter

import presidio_analyzer.predefined_recognizers as predefined
import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from spacy.language import Language

THRESHOLD = 0.4

ENTITIES = {
    "EMAIL_ADDRESS": "email", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address", "URL": "url", "CRYPTO": "crypto_wallet",
    "MAC_ADDRESS": "mac_address", "PHONE_NUMBER": "phone", "US_SSN": "us_ssn",
    "US_ITIN": "us_itin", "US_PASSPORT": "us_passport", "US_DRIVER_LICENSE": "us_driver_license",
    "ABA_ROUTING_NUMBER": "us_bank_routing", "US_NPI": "us_npi", "UK_NHS": "uk_nhs",
    "UK_NINO": "uk_nino", "IT_FISCAL_CODE": "it_fiscal_code", "IT_VAT_CODE": "it_vat",
    "IT_PASSPORT": "it_passport", "IT_IDENTITY_CARD": "it_identity_card",
    "IT_DRIVER_LICENSE": "it_driver_license", "IN_AADHAAR": "in_aadhaar", "IN_PAN": "in_pan",
    "ES_NIF": "es_nif", "ES_NIE": "es_nie", "AU_TFN": "au_tfn", "AU_ABN": "au_abn",
    "PL_PESEL": "pl_pesel", "FI_PERSONAL_IDENTITY_CODE": "fi_pic", "TH_TNIN": "th_tnin",
    "KR_RRN": "kr_rrn", "SG_NRIC_FIN": "sg_fin",
}


@Language.component("lemma_is_word")
def lemma_is_word(doc):
    for token in doc:
        token.lemma_ = token.text.lower()
    return doc


class BlankEngine(SpacyNlpEngine):
    """English tokens without a model, each its own lemma: enough for patterns and context."""

    def __init__(self):
        super().__init__()
        nlp = spacy.blank("en")
        nlp.add_pipe("lemma_is_word")
        self.nlp = {"en": nlp}


def analyzer():
    registry = RecognizerRegistry(supported_languages=["en"])
    for name, kind in inspect.getmembers(predefined, inspect.isclass):
        if not name.endswith("Recognizer") or name.startswith(("Spacy", "Stanza", "Transformers")):
            continue
        try:
            recognizer = kind(supported_language="en")
        except Exception:  # needs a service or a model
            continue
        if set(recognizer.supported_entities) & set(ENTITIES):
            registry.add_recognizer(recognizer)
    return AnalyzerEngine(registry=registry, nlp_engine=BlankEngine(), supported_languages=["en"])


def presidio(engine, text):
    found = engine.analyze(text, language="en", entities=list(ENTITIES), score_threshold=THRESHOLD)
    at = lambda i: len(text[:i].encode())
    return [[at(f.start), at(f.end), ENTITIES[f.entity_type]] for f in found]


def count(spans, found, total):
    overlaps = lambda a, b: a[2] == b[2] and a[0] < b[1] and b[0] < a[1]
    for span in spans:
        hit = any(overlaps(span, f) for f in found)
        total[span[2], "found" if hit else "missed"] += 1
    for f in found:
        if not any(overlaps(f, span) for span in spans):
            total[f[2], "false"] += 1


def cell(total, kind):
    found, missed, false = (total[kind, what] for what in ("found", "missed", "false"))
    recall = found / (found + missed)
    precision = found / (found + false) if found + false else 0
    return f"{precision:.2f} | {recall:.2f} | {false}"


def main(corpus, ours):
    engine = analyzer()
    us, them = Counter(), Counter()
    with open(corpus) as corpus, open(ours) as ours:
        for line, mine in zip(corpus, ours, strict=True):
            line = json.loads(line)
            count(line["spans"], json.loads(mine), us)
            count(line["spans"], presidio(engine, line["text"]), them)
    print("| type | precision | recall | false | Presidio: precision | recall | false |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in sorted({kind for kind, _ in us}):
        theirs = cell(them, kind) if kind in ENTITIES.values() else "– | – | –"
        print(f"| {kind} | {cell(us, kind)} | {theirs} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
